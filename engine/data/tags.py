"""Tags of words, and the entities that they spell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Entity = tuple[str, int, int]
"""Type, first word, last word."""


def entities(tags: Sequence[str], *, strict: bool = False) -> set[Entity]:
    """The entities that IOB2 tags (``B-PER``, ``I-PER``, ``O``) spell.

    As conlleval and seqeval's default mode read them, an ``I-`` that follows no tag of its type begins an entity; with
    ``strict`` (seqeval's strict mode, IOB2) it is none, nor is what follows it up to the next ``B-``.
    """
    found: set[Entity] = set()
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        place, _, name = tag.partition("-")
        name = name or "_"
        goes_on = place == "I" and name == kind
        if kind and not goes_on:
            found.add((kind, start, at - 1))
            kind = ""
        if place == "B" or (place == "I" and not goes_on and not strict):
            kind, start = name, at
    return found


def spell_entities(tags: Iterable[str]) -> bool:
    """Whether tags mark entities (IOB) and not every word for itself, as parts of speech do."""
    known = set(tags)
    return "O" in known and any(tag.startswith(("B-", "I-")) for tag in known) and all(tag == "O" or tag[:2] in ("B-", "I-") for tag in known)


def told(words: Sequence[str], tags: Sequence[str], *, every: bool = False) -> str:
    """The entities in words, for people: ``person: Ada Lovelace; location: London``; with ``every`` each word with its tag."""
    if every:
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=False))
    found = sorted(entities(tags), key=lambda entity: entity[1])
    return "; ".join(f"{kind}: {' '.join(words[first : last + 1])}" for kind, first, last in found) or "none"
