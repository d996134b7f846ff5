"""A row's own words: the text around a hit, and where in the row a quote stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.answer.evidence import Passage
from engine.data.rows import row
from engine.data.shape import as_text
from engine.errors import BitternError

if TYPE_CHECKING:
    from engine.search.reader import Hit
    from engine.store.datasets import DatasetRecord

WHOLE = 3000
"""Characters up to which a row is read whole, rather than around the piece that was found."""
AROUND = 300
"""Characters beside that piece, so that its first and last sentences are whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a quote stands: ``row[column][start:end]``; with no column, in the text of the passage."""

    column: str
    start: int
    end: int


def passage_of(record: DatasetRecord, columns: list[str], hit: Hit) -> Passage:
    """The text of a hit as the row has it now; as the index has it where the row changed since."""
    text = hit.text
    try:
        whole = as_text(record, row(record, hit.split, hit.row), columns or None)
    except BitternError:
        whole = ""
    if found := find(whole, hit.text):
        text = whole.strip() if len(whole) <= WHOLE else _around(whole, *found)
    return Passage(hit.address, text, round(hit.score, 4), hit.split, hit.row)


def place_of(record: DatasetRecord, passage: Passage, quote: str) -> tuple[str, Place]:
    """The quote in the words of its row, and where it stands there."""
    try:
        values = row(record, passage.split, passage.row)
    except BitternError:
        values = {}
    for column, value in values.items():
        # A row of a table is read as lines of “column: value”.
        if isinstance(value, str) and (found := find(value, quote.removeprefix(f"{column}: "))):
            return value[slice(*found)], Place(column, *found)
    start, end = find(passage.text, quote) or (0, 0)
    return quote, Place("", start, end)


def find(text: str, quote: str) -> tuple[int, int] | None:
    """Where ``quote`` stands in ``text``, however the white space between its words is written."""
    if not quote.strip():
        return None
    if (at := text.find(quote)) >= 0:
        return at, at + len(quote)
    match = re.search(r"\s+".join(re.escape(word) for word in quote.split()), text)
    return match.span() if match else None


def _around(text: str, start: int, end: int) -> str:
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    # From the last break before the piece to the first one after it.
    lead = max((match.end() for match in re.finditer(r"[.!?。！？]\s+|\n", before)), default=0 if start <= AROUND else len(before))
    stop = re.search(r"[.!?。！？](?=\s|$)|\n", after)
    return (before[lead:] + text[start:end] + (after[: stop.end()] if stop else "")).strip()
