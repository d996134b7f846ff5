"""Rows become passages: a row's text, or overlapping pieces of a long one, each within the encoder's reach.

A piece is a stretch of the text as it stands, cut by the encoder's own tokens, at the end of a sentence or between two
words where there is one nearby: so Chinese, and a line without any space, are cut as they should be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data.shape import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from engine.store.datasets import DatasetRecord

TOKENS = 254
"""Tokens in a passage, at most: what MiniLM reads, and about as much as one vector can say."""
OVERLAP = 40
"""Tokens that neighbours share."""
WIDEST = 8
"""Characters a token on average, at most: a token may stand for a whole line that the encoder has no pieces of."""
ENDS = re.compile(r"[.!?…](?=[\"'”’)\]]*\s)|[。！？｡]|\n")
Cut = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a row. ``fields`` are its texts by column, each with its weight; ``text`` is all of them."""

    split: str
    row: int
    piece: int
    fields: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self.fields)


def weighted(columns: list[str], features: Collection[str] = ()) -> list[tuple[str, float]]:
    """``["subject:2", "body"]`` as columns with weights; what follows the last colon weighs only if it is a number, and
    the whole is not one of the dataset's ``features``."""
    found = []
    for column in columns:
        if column in features:
            found.append((column, 1.0))
            continue
        name, colon, weight = column.rpartition(":")
        number = re.fullmatch(r"\d+(\.\d+)?", weight.strip()) if colon and name else None
        found.append((name.strip(), float(weight)) if number else (column, 1.0))
    return found


def passages(record: DatasetRecord, split: str, first: int, rows: list[dict[str, Any]], columns: list[str], cutter: Cutter) -> Iterator[Passage]:
    """The passages of a window of rows that starts at row ``first``. A row with no text gives none.

    Columns of the same weight are one text. Where weights differ each column is cut on its own, and a passage has one
    piece of each: a short column (a subject) is in every passage of its row.
    """
    pairs = weighted(columns, record.features)
    for number, row in enumerate(rows, start=first):
        if len({weight for _, weight in pairs}) < 2:
            texts = [(as_text(record, row, [name for name, _ in pairs] or None), 1.0)]
        else:
            texts = [(as_text(record, row, [name]), weight) for name, weight in pairs]
        cut = [(cutter.pieces(text), weight) for text, weight in texts if weight and text.strip()]
        for piece in range(max((len(parts) for parts, _ in cut), default=0)):
            yield Passage(split, number, piece, tuple((parts[piece if piece < len(parts) else 0], weight) for parts, weight in cut))


class Cutter:
    """Cuts texts by an encoder's tokens. ``offsets`` says where each token of a text stands."""

    def __init__(self, offsets: Callable[[str], list[Cut]], tokens: int = TOKENS, overlap: int = OVERLAP) -> None:
        self._offsets, self._tokens, self._overlap = offsets, tokens, min(overlap, tokens // 3)

    def pieces(self, text: str) -> list[str]:
        """``text`` in pieces of at most so many tokens; whole, but for the space around it, where it is short."""
        return [text[start:end].strip() for start, end in self.cuts(text) if text[start:end].strip()]

    def cuts(self, text: str) -> list[Cut]:
        """Where the pieces stand. Every character but space is in one of them."""
        if len(text) <= self._tokens:  # A token has a character at least.
            return [(0, len(text))]
        tokens = list(self._small(self._offsets(text)))
        if len(tokens) <= self._tokens and len(text) <= WIDEST * self._tokens:
            return [(0, len(text))]
        found: list[Cut] = []
        first = 0
        while first < len(tokens):
            last = self._last(tokens, first)
            if last < len(tokens):
                last = self._nicely(text, tokens, first, last)
            found.append((tokens[first][0] if found else 0, tokens[last][0] if last < len(tokens) else len(text)))
            if last >= len(tokens):
                break
            first = self._again(text, tokens, max(first + 1, last - self._overlap), last)
        return found

    def _last(self, tokens: list[Cut], first: int) -> int:
        """The token after the last that fits."""
        last = min(first + self._tokens, len(tokens))
        while last - first > 1 and tokens[last - 1][1] - tokens[first][0] > WIDEST * self._tokens:
            last -= 1
        return last

    def _nicely(self, text: str, tokens: list[Cut], first: int, last: int) -> int:
        """A token in the second half of the piece at which a sentence begins, or else a word."""
        middle = (first + last) // 2
        low, high = tokens[middle][0], tokens[last][0]
        ends = [match.end() for match in ENDS.finditer(text, low, high)]
        edge = ends[-1] if ends else 0
        if edge:
            return next((number for number in range(middle + 1, last) if tokens[number][0] >= edge), last)
        return next((number for number in range(last, middle, -1) if text[tokens[number][0] - 1].isspace()), last)

    def _again(self, text: str, tokens: list[Cut], first: int, last: int) -> int:
        """Where the next piece begins: with a whole word, if one begins in what it shares with the last."""
        return next((number for number in range(first, last) if text[tokens[number][0] - 1].isspace()), first)

    def _small(self, tokens: list[Cut]) -> Iterator[Cut]:
        """No token wider than a tenth of a piece: one may stand for a line of any length."""
        width = max(1, WIDEST * self._tokens // 10)
        for start, end in tokens:
            if end > start:
                yield from ((at, min(end, at + width)) for at in range(start, end, width))


def cutter(tokenizer: Any, longest: int) -> Cutter:
    """The cutter for an encoder: by its tokenizer, or by words and characters where it has none of the usual kind."""
    tokens = max(8, min(TOKENS, longest - 2))
    if tokenizer is None:
        return Cutter(lambda text: [match.span() for match in re.finditer(r"[A-Za-z]{1,4}|\S", text)], tokens)
    whole = type(tokenizer).from_str(tokenizer.to_str())
    whole.no_truncation()
    whole.no_padding()

    def offsets(text: str) -> list[Cut]:
        found: list[Cut] = whole.encode(text, add_special_tokens=False).offsets
        return found

    return Cutter(offsets, tokens)
