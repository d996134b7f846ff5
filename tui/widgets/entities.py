"""A text with its entities in colour, each with its kind behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INKS = ("$accent", "$success", "$warning", "$secondary", "$error", "$primary")
"""Colours of the kinds, in the order in which they come; bold and underlined, for eyes and themes without colour."""


def in_colour(text: str, entities: Sequence[Mapping[str, Any]]) -> Content:
    """``entities`` have ``start`` and ``end`` (characters of ``text``, in order) and a ``label``. Nothing in them is markup."""
    kinds = list(dict.fromkeys(str(entity["label"]) for entity in entities))
    parts: list[tuple[str, str]] = []
    at = 0
    for entity in entities:
        ink = INKS[kinds.index(str(entity["label"])) % len(INKS)]
        parts += [
            (clean(text[at : entity["start"]]), ""), (clean(text[entity["start"] : entity["end"]]), f"bold underline {ink}"),
            (f" {one_line(entity['label'], 30)}", f"dim {ink}"),
        ]  # fmt: skip
        at = entity["end"]
    return Content.assemble(*parts, (clean(text[at:]), ""))
