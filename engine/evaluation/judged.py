"""Answers in pairs, for a judge to read: out of two runs, or out of ballots; and what people said of the same pairs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

from engine.evaluation.compare import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.evaluation.rowwise import Row
    from engine.inference.protocol import Message
    from engine.store.ballots import Ballot
    from engine.store.runs import RunRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt. ``sides`` are who gave them, ``key`` tells the pair from all others of its set;
    ``reference`` is the dataset's own answer; ``ballot`` the number of the ballot that it came from, or 0."""

    key: str
    prompt: str
    sides: tuple[str, str]
    answers: tuple[str, str]
    reference: str = ""
    ballot: int = 0


def of_runs(runs: Sequence[RunRecord], names: tuple[str, str], rows: int, seed: int) -> list[Pair]:
    """The rows that two runs share, ``rows`` of them drawn with the seed (0: all). Raises ``DataError``."""
    [found] = pairs(runs)
    both = drawn(list(zip(found.left, found.right, strict=True)), rows, seed)
    return [Pair(a["address"], a["prompt"], names, (a["prediction"], b["prediction"]), a["reference"]) for a, b in both]


def of_ballots(ballots: Sequence[Ballot], rows: int, seed: int) -> list[Pair]:
    """Every two answers of ``rows`` ballots drawn with the seed (0: of all)."""
    return [
        Pair(f"ballot {ballot.id}: {a + 1} {b + 1}", told(ballot.prompt), (ballot.sides[a], ballot.sides[b]),
             (ballot.answers[a], ballot.answers[b]), ballot=ballot.id)
        for ballot in drawn(ballots, rows, seed)
        for a, b in combinations(range(len(ballot.sides)), 2)
    ]  # fmt: skip


def drawn(found: Sequence[T], rows: int, seed: int) -> list[T]:
    """``rows`` of them, in their own order; all, where ``rows`` is 0 or more than there are."""
    if not rows or rows >= len(found):
        return list(found)
    return [found[at] for at in sorted(random.Random(seed).sample(range(len(found)), rows))]


def told(messages: Sequence[Message]) -> str:
    """A conversation as one text: a single question as it stands, more with who says what."""
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def people(rows: Sequence[Row], ballots: Iterable[Ballot]) -> list[str]:
    """What people said of each judged pair: ``a``, ``b``, ``tie``, or nothing.

    A pair that came from a ballot has that ballot's vote; one that came from runs the last vote on the same two answers to
    the same question.
    """
    voted = [ballot for ballot in ballots if ballot.vote not in ("", "skip")]
    by_number = {ballot.id: ballot for ballot in voted}
    by_text = {(ballot.prompt[-1]["content"], frozenset(two)): ballot for ballot in voted for two in combinations(ballot.answers, 2)}
    return [
        _vote(row, by_number.get(row["ballot"]) if row["ballot"] else by_text.get((row["prompt"], frozenset((row["answer_a"], row["answer_b"])))))
        for row in rows
    ]


def _vote(row: dict[str, Any], ballot: Ballot | None) -> str:
    if ballot is None or ballot.vote == "tie":
        return "tie" if ballot else ""
    best = ballot.answers[int(ballot.vote)]
    if row["answer_a"] == row["answer_b"]:
        return "tie" if best == row["answer_a"] else ""
    # Where neither of the two was the best of more, nothing was said of them.
    return {row["answer_a"]: "a", row["answer_b"]: "b"}.get(best, "")
