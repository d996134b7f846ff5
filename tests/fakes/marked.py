"""Rows to learn tags, several labels and numbers from, as JSON lines."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = ("heron", "reed", "pond")
"""Words that the tiny BERT has as pieces of their own."""


def tagged_rows(count: int) -> str:
    """Words with tags: birds of one word or two, and plants."""
    draw = random.Random(3)
    tags = {"heron": "B-bird", "pond": "I-bird", "reed": "B-plant"}
    rows = []
    for number in range(count):
        pieces = [draw.choice((["heron"], ["heron", "pond"], ["reed"], ["a", "b"], ["see"])) for _ in range(draw.randint(2, 4))]
        words = [f"n{number}", *(word for piece in pieces for word in piece)]
        rows.append({"id": str(number), "tokens": words, "ner_tags": [tags.get(word, "O") for word in words]})
    return lines(rows)


def labelled_rows(count: int) -> str:
    """Texts with the labels HERON and REED, with both, or with none."""
    return lines(
        {"text": " ".join([str(number % 8), *present]), "labels": [word.upper() for word in present if word != "pond"]}
        for number in range(count)
        for present in [[word for place, word in enumerate(WORDS) if (number >> place) & 1]]
    )


def scored_rows(count: int) -> str:
    """Two texts and a number that the first of them decides."""
    draw = random.Random(5)
    rows = []
    for number in range(count):
        first, second = draw.choice(WORDS[:2]), draw.choice(WORDS[:2])
        rows.append({"premise": f"{first} {number}", "hypothesis": f"{number % 7} {second}", "score": 900.0 + 200.0 * (first == "heron")})
    return lines(rows)


def lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
