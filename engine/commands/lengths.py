"""How long texts are for a model, for every place of a screen where a length matters: at once, or not said at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any

from engine.data.rows import window
from engine.data.shape import as_messages, as_text
from engine.errors import BitternError, DataError
from engine.models.tokens import Counter, at_once, tokenizer_of
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from engine.commands.training.train import Train
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

AROUND = 5
"""Tokens that a template puts around a message, more or less: ChatML's begin, role, line break, end and line break."""
PIECES, EACH = 16, 16
"""A dataset is looked at in so many pieces, evenly spaced, of so many rows."""
LONGEST = 400_000
"""Characters of one text that are counted; the rest is not worth the wait."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of each text for ``model``; ``window`` is how many it reads, 0 where that is not known."""

    model: str
    tokens: list[int]
    window: int


def lengths(workspace: Workspace, texts: list[str], *, make: bool = False) -> Lengths | None:
    """The tokens of ``texts`` for the model in use; ``None`` where that can't be told at once.

    ``make``: where the tokenizer has to be taken out of a GGUF first, that begins in the background.
    """
    found = _counter(workspace, workspace.recall("model"), make=make)
    if found is None:
        return None
    counter, window = found
    return Lengths(counter.name, counter.count([text[:LONGEST] for text in texts]), window)


def of_row(workspace: Workspace, dataset: str, row: dict[str, Any], *, make: bool = False) -> Lengths | None:
    """The same of a row's text, as search and training read it."""
    record = workspace.datasets.find(dataset)
    if record is None or not (text := as_text(record, row)):
        return None
    return lengths(workspace, [text], make=make)


def cut_of(workspace: Workspace, command: Train, *, make: bool = False) -> str:
    """How long the rows of a training that is being filled in are, and how many of them its longest length cuts, in a line;
    empty where that can't be said. Counted on evenly spaced rows, with a template's tokens estimated."""
    try:
        dataset = workspace.datasets.get(command.on)
        spec = command.chosen(workspace).spec(dataset)
        found = _counter(workspace, spec.base, make=make)
        if found is None:
            return ""
        sizes = _sizes(_Split(dataset, spec.split), found[0], writes=RECIPES[spec.recipe].writes)
    except (BitternError, ValueError):
        return ""
    if not sizes:
        return ""
    long = sum(size > spec.max_length for size in sizes)
    share = f"{100 * long / len(sizes):.0f} %" if long * 100 >= len(sizes) else "a few"
    looked = f"all {len(sizes):,}" if len(sizes) == dataset.splits[spec.split] else f"{len(sizes):,} looked at"
    cut = f"about {share} of them are longer than {spec.max_length} and would be cut" if long else f"none is longer than {spec.max_length}"
    return f"Rows: about {median(sizes):,.0f} tokens, {max(sizes):,} at most ({looked}); {cut}."


def _counter(workspace: Workspace, name: str, *, make: bool) -> tuple[Counter, int] | None:
    """A model's counter and how many tokens it reads."""
    try:
        if not name or (counter := at_once(workspace, name, make=make)) is None:
            return None
        record, _ = tokenizer_of(workspace, name)
    except (BitternError, OSError):
        return None
    return counter, min(workspace.settings.context, int(record.facts.get("context") or workspace.settings.context))


class _Split:
    """A split at a fingerprint: what :func:`_sizes` is kept by."""

    def __init__(self, record: DatasetRecord, name: str) -> None:
        self.record, self.name = record, name
        self._key = (record.name, record.fingerprint, name)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Split) and self._key == other._key


@lru_cache(maxsize=8)
def _sizes(split: _Split, counter: Counter, *, writes: bool) -> tuple[int, ...]:
    """Tokens of evenly spaced rows; kept, so that another length is answered while it is typed."""
    rows = [_texts(split.record, row, writes=writes) for row in _spread(split.record, split.name)]
    return tuple(sum(counter.count(parts)) + AROUND * len(parts) for parts in rows if parts)


def _spread(record: DatasetRecord, split: str) -> list[dict[str, Any]]:
    rows = record.splits[split]
    if rows <= PIECES * EACH:
        return window(record, split, 0, rows)
    return [row for piece in range(PIECES) for row in window(record, split, piece * (rows - EACH) // (PIECES - 1), EACH)]


def _texts(record: DatasetRecord, row: dict[str, Any], *, writes: bool) -> list[str]:
    """What a row becomes: its messages, or its text."""
    if writes and record.shape != "text":
        try:
            return [message["content"][:LONGEST] for message in as_messages(record, row)]
        except DataError:
            return []
    return [text[:LONGEST]] if (text := as_text(record, row)) else []
