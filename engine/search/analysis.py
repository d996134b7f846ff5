"""Texts to the terms that words are matched by: case, accents and English endings do not count.

A script without spaces between words (Chinese, Japanese, Thai; Korean too, whose endings hang on its words) is taken by
single characters and by pairs of them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
# A letter's own marks (accents, vowel signs) belong to its word, though Python's \w leaves them out.
MARKS = r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
WORD = re.compile(rf"[{UNSPACED}]+|(?:(?![{UNSPACED}])(?:[^\W_]|[{MARKS}]))+(?:['’](?:[^\W_])+)?")
RUN = re.compile(f"[{UNSPACED}]")
LATIN_MARKS = re.compile(r"[\u0300-\u036f]+")
STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "my",
        "no",
        "nor",
        "not",
        "of",
        "on",
        "or",
        "our",
        "she",
        "so",
        "such",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "will",
        "with",
        "you",
        "your",
        "i",
        "am",
        "been",
        "do",
        "does",
        "did",
        "what",
        "which",
        "who",
        "whom",
        "how",
        "when",
        "where",
        "why",
        "can",
    ]
)
"""Words that say nothing about what a text is about. They count in a query of nothing else."""


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=1 << 19)
def term(word: str) -> str:
    """What a word is matched by: “Élections” is ``elect``."""
    plain = LATIN_MARKS.sub("", unicodedata.normalize("NFKD", word.casefold())).replace("’", "'").removesuffix("'s")
    return str(_stemmer().stemWord(plain))


def is_unspaced(word: str) -> bool:
    """Whether a match of ``WORD`` is a run of characters rather than a word."""
    return word[0] >= "\u0e00" and RUN.match(word) is not None


def spans(text: str, *, whole: bool = True) -> Iterator[tuple[str, int, int]]:
    """Each term of a text with where it stands. ``whole``: the single characters of a run as well as its pairs."""
    for match in WORD.finditer(text):
        word, at = match[0], match.start()
        if not is_unspaced(word):
            yield term(word), at, match.end()
            continue
        if whole or len(word) == 1:
            yield from ((char, at + number, at + number + 1) for number, char in enumerate(word))
        yield from ((word[number : number + 2], at + number, at + number + 2) for number in range(len(word) - 1))


def document(text: str) -> list[str]:
    """The terms of a text, in order, stop words left out."""
    return [found for found, _, _ in spans(text) if found not in STOP]


def query(text: str) -> list[str]:
    """The different terms of a query; of one that has only stop words, those."""
    found = list(dict.fromkeys(found for found, _, _ in spans(text, whole=False)))
    return [one for one in found if one not in STOP] or found
