"""Rows become passages: a row's text, or overlapping pieces of a long one, each within the encoder's reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data.shape import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.store.datasets import DatasetRecord

WORDS = 160
"""Words in a passage: about 220 tokens of English, within the 256 that MiniLM reads."""
OVERLAP = 30


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a row. ``id`` is ``split/row/piece``."""

    split: str
    row: int
    piece: int
    text: str

    @property
    def id(self) -> str:
        return f"{self.split}/{self.row}/{self.piece}"


def passages(record: DatasetRecord, split: str, first: int, rows: list[dict[str, Any]], columns: list[str] | None = None) -> Iterator[Passage]:
    """The passages of a window of rows that starts at row ``first``. A row with no text gives none."""
    for number, row in enumerate(rows, start=first):
        for piece, text in enumerate(pieces(as_text(record, row, columns))):
            yield Passage(split, number, piece, text)


def pieces(text: str, words: int = WORDS, overlap: int = OVERLAP) -> list[str]:
    """``text`` in pieces of at most ``words`` words that share ``overlap`` words with their neighbours."""
    if not text.strip():
        return []
    found = text.split()
    if len(found) <= words:
        return [text.strip()]
    return [" ".join(found[start : start + words]) for start in range(0, max(1, len(found) - overlap), words - overlap)]
