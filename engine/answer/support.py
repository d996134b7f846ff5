"""Which passage stands behind which sentence: measured by the words they share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.answer.words import ENDS, WIDE, cut, numbers, words

LEAST = 4
"""Words that a sentence needs to be an answer."""
SPAN = 45
"""Words up to which the next sentence is added to a short one."""
LONGEST = 90
"""Words of the longest quote; a text with no sentence in it is cut there."""
LEANS = re.compile(
    r"(?:It|They|He|She|This|These|Those|That|Each|The result|The same|Its|Their|His|Her|Then|So|Here|There|On the next|The former|The latter)\b"
)
"""How a sentence begins that leans on the one before it."""
ENOUGH = 0.5
"""The share of a sentence's words that a passage must hold to stand behind it."""
UNSUPPORTED = "[?]"
"""What follows a sentence that no passage stands behind."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a passage, ``text``; ``context`` has the passage's title before it, for ranking; ``before`` is the
    sentence before it. ``start`` and ``end``: the sentence with what it needs beside it, as the passage has it."""

    text: str
    context: str
    before: str
    start: int
    end: int


def statements(passage: str) -> list[Statement]:
    """The sentences of a passage that can answer something. ``Title: text`` gives each sentence its title."""
    head, mark, rest = passage.partition(": ")
    title = head if rest and len(head) < 80 and "\n" not in head and "." not in head else ""
    shift = len(head + mark) if title else 0
    places = [(start + shift, end + shift) for start, end in cut(passage[shift:])] or [(0, len(passage))]
    made = []
    for number, (start, end) in enumerate(places):
        sentence = passage[start:end]
        if len(sentence.split()) < LEAST and len(sentence) < 5 * LEAST and len(places) > 1:
            continue
        before = passage[slice(*places[number - 1])] if number else ""
        span = _span(passage, places, number)
        made.append(Statement(sentence, f"{title}: {sentence}" if title else sentence, before, *_limited(passage, *span)))
    return made or [Statement(passage, passage, "", *_limited(passage, 0, len(passage)))]


def _span(passage: str, places: list[tuple[int, int]], number: int) -> tuple[int, int]:
    start, end = places[number]
    if number and LEANS.match(passage, start):
        return places[number - 1][0], end
    if number + 1 < len(places) and len(passage[start : places[number + 1][1]].split()) <= SPAN:
        return start, places[number + 1][1]
    return start, end


def _limited(passage: str, start: int, end: int) -> tuple[int, int]:
    """The span, cut after so many words; a script without spaces counts as two signs a word."""
    found = list(re.finditer(r"\S+", passage[start:end]))
    if len(found) > LONGEST:
        end = start + found[LONGEST - 1].end()
    return start, min(end, start + 12 * LONGEST)


def support(sentence: str, passage: str) -> float:
    """The share of the sentence's words that the passage holds; 0 for a sentence with none, or with a figure that the
    passage does not have."""
    own = words(sentence)
    if not own or not numbers(sentence) <= numbers(passage):
        return 0.0
    return len(own & words(passage)) / len(own)


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence of an answer without marks, the numbers (from 1) of the passages behind it, and how well the best
    of them supports it."""

    text: str
    numbers: tuple[int, ...]
    score: float

    @property
    def supported(self) -> bool:
        return bool(self.numbers)

    @property
    def marked(self) -> str:
        """The sentence with ``[n]`` before its full stop, or ``[?]`` after it where nothing stands behind it."""
        if not self.numbers:
            return f"{self.text} {UNSUPPORTED}"
        marks = "".join(f"[{number}]" for number in self.numbers)
        end = self.text[-1] if self.text[-1] in ENDS + WIDE else ""
        return f"{self.text[: len(self.text) - len(end)]} {marks}{end}"


WRITTEN = re.compile(r"\s*\[(\d+)\]")
"""A number that the model put after what it said."""


def cite(sentence: str, passages: list[str]) -> Cited:
    """A sentence with the passages behind it. Numbers that the model wrote stay where they are right; where none is,
    the passage that supports the sentence best takes their place."""
    written = [int(number) for number in WRITTEN.findall(sentence)]
    plain = WRITTEN.sub("", sentence).strip()
    said = re.sub(r"^(?:\d+[.)]|[-*•])\s+", "", plain)  # A list's number is no figure.
    scores = [support(said, passage) for passage in passages]
    right = [number for number in written if 1 <= number <= len(passages) and scores[number - 1] >= ENOUGH]
    best = max(scores, default=0.0)
    if not right and best >= ENOUGH:
        right = [scores.index(best) + 1]
    return Cited(plain, tuple(dict.fromkeys(right)), round(best, 4))
