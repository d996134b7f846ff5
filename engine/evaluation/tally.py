"""Votes counted: for each pair of sides how often one was preferred, and how sure that is."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.store.ballots import Ballot


@dataclass(frozen=True, slots=True)
class Pair:
    """``wins`` of ``a`` over ``b``, ``losses``, ``ties``. With more than two sides, the winner beats each of the others
    and nothing is said of those among themselves."""

    a: str
    b: str
    wins: int
    losses: int
    ties: int

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def rate(self) -> float:
        """The share of votes for ``a``; a tie counts half."""
        return (self.wins + self.ties / 2) / self.votes

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of ``rate``."""
        return wilson(self.rate, self.votes)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` (E. B. Wilson, 1927)."""
    n, p, z = count, share, 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def tally(ballots: Iterable[Ballot]) -> list[Pair]:
    """The pairs that were voted on, those with the most votes first. Skipped ballots do not count."""
    counts: dict[tuple[str, str], list[int]] = {}
    for ballot in ballots:
        if ballot.vote in ("", "skip"):
            continue
        for first, second in combinations(range(len(ballot.sides)), 2):
            if ballot.vote != "tie" and int(ballot.vote) not in (first, second):
                continue
            a, b = sorted((ballot.sides[first], ballot.sides[second]))
            found = counts.setdefault((a, b), [0, 0, 0])
            found[2 if ballot.vote == "tie" else int(ballot.sides[int(ballot.vote)] != a)] += 1
    pairs = [Pair(a, b, *found) for (a, b), found in counts.items()]
    return sorted(pairs, key=lambda pair: (-pair.votes, pair.a, pair.b))


def shuffled(sides: int, seed: int) -> list[int]:
    """The order in which sides are shown: which of them stands at each place."""
    order = list(range(sides))
    random.Random(seed).shuffle(order)
    return order


def preferences(ballots: Iterable[Ballot]) -> list[dict[str, Any]]:
    """Rows for preference training: prompt, chosen and rejected as messages (TRL's conversational form)."""
    rows = []
    for ballot in ballots:
        if not ballot.vote.isdigit():
            continue
        best = int(ballot.vote)
        for other, answer in enumerate(ballot.answers):
            if other != best and answer != ballot.answers[best]:
                rows.append({
                    "prompt": ballot.prompt, "chosen": [{"role": "assistant", "content": ballot.answers[best]}],
                    "rejected": [{"role": "assistant", "content": answer}], "chosen_by": ballot.sides[best], "rejected_by": ballot.sides[other],
                })  # fmt: skip
    return rows
