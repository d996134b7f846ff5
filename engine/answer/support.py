"""Which passage stands behind which sentence: measured by the words they share."""

from __future__ import annotations

import re
from dataclasses import dataclass

STOP = frozenset(
    [
        "a",
        "about",
        "above",
        "after",
        "all",
        "also",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "may",
        "me",
        "might",
        "more",
        "most",
        "must",
        "my",
        "no",
        "not",
        "of",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
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
        "up",
        "us",
        "use",
        "used",
        "using",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
LEAST = 4
"""Words that a sentence needs to be an answer."""
SPAN = 45
"""Words up to which the next sentence is added to a short one."""
LEANS = re.compile(r"(?:It|They|This|These|Those|That|Each|The result|The same|Its|Their|Then|So|Here|There)\b")
"""How a sentence begins that leans on the one before it."""
ENOUGH = 0.5
"""The share of a sentence's words that a passage must hold to stand behind it."""


def words(text: str) -> set[str]:
    """The words that carry meaning, crudely stemmed."""
    return {_stem(word) for word in re.findall(r"[a-z0-9][\w\-']*", text.lower()) if word not in STOP and (len(word) > 2 or word.isdigit())}


def _stem(word: str) -> str:
    for ending in ("'s", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def sentences(text: str) -> list[str]:
    """The sentences of a text, list items and lines of their own among them."""
    found = re.split(r"(?:(?<=[.!?])|(?<=[.!?][\"”’)]))\s+(?=[\"“‘(\[`]?[A-Z0-9])|\n+", text.strip())
    return [sentence.strip() for sentence in found if sentence.strip()]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a passage: ``context`` has the passage's title before it, for ranking; ``span`` is the sentence
    with what it needs beside it to be understood, as the passage has it."""

    text: str
    context: str
    span: str


def statements(passage: str) -> list[Statement]:
    """The sentences of a passage that can answer something. ``Title: text`` gives each sentence its title."""
    head, _, rest = passage.partition(": ")
    title = head if rest and len(head) < 80 and "\n" not in head and "." not in head else ""
    found = sentences(rest if title else passage) or [passage]
    made = []
    for number, sentence in enumerate(found):
        if len(sentence.split()) < LEAST and len(found) > 1:
            continue
        span = sentence
        if number and LEANS.match(sentence):
            span = f"{found[number - 1]} {sentence}"
        elif number + 1 < len(found) and len(f"{sentence} {found[number + 1]}".split()) <= SPAN:
            span = f"{sentence} {found[number + 1]}"
        made.append(Statement(sentence, f"{title}: {sentence}" if title else sentence, span))
    return made or [Statement(passage, passage, passage)]


def support(sentence: str, passage: str) -> float:
    """The share of the sentence's words that the passage holds; 0 for a sentence with none."""
    own = words(sentence)
    return len(own & words(passage)) / len(own) if own else 0.0


def cite(answer: str, passages: list[str]) -> tuple[str, list[int]]:
    """The answer with ``[n]`` after each sentence that passage ``n`` (from 1) stands behind, and the numbers used.

    Numbers that the model wrote stay where they are right, and go where there is no such passage.
    """
    used: list[int] = []
    out = []
    for sentence in sentences(answer):
        written = [int(number) for number in re.findall(r"\[(\d+)\]", sentence)]
        plain = re.sub(r"\s*\[\d+\]", "", sentence).strip()
        scores = [support(plain, passage) for passage in passages]
        right = [number for number in written if 1 <= number <= len(passages) and scores[number - 1] >= ENOUGH]
        if not right and scores and max(scores) >= ENOUGH:
            right = [scores.index(max(scores)) + 1]
        used += [number for number in right if number not in used]
        out.append(_mark(plain, right))
    return " ".join(out), used


def _mark(sentence: str, numbers: list[int]) -> str:
    if not numbers or not sentence:
        return sentence
    marks = "".join(f"[{number}]" for number in dict.fromkeys(numbers))
    end = sentence[-1] if sentence[-1] in ".!?" else ""
    return f"{sentence[: len(sentence) - len(end)]} {marks}{end}"
