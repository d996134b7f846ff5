"""What in a passage answers a query: the words that match, and the sentence that holds the most of them."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from engine.search import analysis

if TYPE_CHECKING:
    from collections.abc import Mapping

Span = tuple[int, int]
END = re.compile(r"(?:(?<!\b[A-Z])(?<!\b(?:Mr|Dr|St|vs|No))(?<!\b(?:Mrs|e\.g|i\.e|etc))[.!?…]+[\"'”’)\]]*(?=\s))|[。！？｡]+[」』”’]*|\n+")
WIDEST = 300
"""Characters of a text without sentences that are shown as one."""


def marked(text: str, terms: Mapping[str, float]) -> list[Span]:
    """Where the query's words stand, in order; stretches that touch are one."""
    found: list[Span] = []
    for term, start, end in analysis.spans(text):
        if term in terms:
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            else:
                found.append((start, end))
    return found


def sentences(text: str) -> list[Span]:
    """Where the sentences stand, without the space around them."""
    edges = [0, *(match.end() for match in END.finditer(text)), len(text)]
    found = []
    for start, end in itertools.pairwise(edges):
        piece = text[start:end]
        if piece.strip():
            found.append((start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())))
    return found


def worths(text: str, terms: Mapping[str, float]) -> list[tuple[Span, float]]:
    """Each sentence with what the query's words in it are worth, each counted once."""
    found = []
    for start, end in sentences(text):
        own = {term for term, _, _ in analysis.spans(text[start:end])}
        found.append(((start, end), sum(terms[term] for term in own if term in terms)))
    return found


def best_sentence(text: str, terms: Mapping[str, float]) -> Span | None:
    """The sentence with the most telling words of the query; None where no sentence has any. Of two that are alike the
    first. A text without sentences is shown around its first match."""
    best: tuple[float, Span] | None = None
    for span, worth in worths(text, terms):
        if worth > 0 and (best is None or worth > best[0] + 1e-9):
            best = (worth, span)
    return narrowed(text, best[1], terms) if best else None


def narrowed(text: str, span: Span, terms: Mapping[str, float]) -> Span:
    """A sentence, or what stands around the first match in one that is too wide to show."""
    start, end = span
    if end - start > WIDEST:
        first = next((at for term, at, _ in analysis.spans(text[start:end]) if term in terms), 0) + start
        start, end = max(start, first - WIDEST // 3), min(end, first + 2 * WIDEST // 3)
    return start, end
