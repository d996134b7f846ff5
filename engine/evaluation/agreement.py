"""What a judge's verdicts come to: who wins, how much the order of the answers decides, and how well people agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.evaluation.tally import Pair, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

SAID = ("a", "b", "tie")
"""The verdicts, in the order of the rows and columns of a table of them."""


def won(rows: Sequence[dict[str, Any]]) -> list[Pair]:
    """Wins, losses and ties of each two sides, the pairs with the most verdicts first. Pairs left out do not count."""
    counts: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row["verdict"] not in SAID:
            continue
        turned = (row["b"], row["a"]) in counts
        found = counts.setdefault((row["b"], row["a"]) if turned else (row["a"], row["b"]), [0, 0, 0])
        place = SAID.index(row["verdict"])
        found[1 - place if turned and place < 2 else place] += 1
    return sorted((Pair(a, b, *found) for (a, b), found in counts.items()), key=lambda pair: -pair.votes)


def position(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How much the order decided. ``asked``: pairs whose verdict was read in both orders; ``changed``: those where the two
    verdicts differ; ``bias`` their share, with Wilson's ``low`` and ``high``; ``first``: the share of verdicts for one of
    the two answers that were for the one that stood first (a half, where order says nothing)."""
    both = [row for row in rows if row["asked"] and row["ab"] in SAID and row["ba"] in SAID]
    changed = sum(row["ab"] != row["ba"] for row in both)
    first = sum((row["ab"] == "a") + (row["ba"] == "b") for row in both)
    second = sum((row["ab"] == "b") + (row["ba"] == "a") for row in both)
    low, high = wilson(changed / len(both), len(both)) if both else (None, None)
    return {
        "asked": len(both), "changed": changed, "bias": changed / len(both) if both else None, "low": low, "high": high,
        "first": first / (first + second) if first + second else None,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreement:
    """``table[human][judge]`` counts pairs, both in the order of ``SAID``."""

    table: list[list[int]]

    @classmethod
    def of(cls, human: Sequence[str], judge: Sequence[str]) -> Agreement:
        """Of the pairs that both have a verdict on."""
        table = [[0] * len(SAID) for _ in SAID]
        for one, other in zip(human, judge, strict=True):
            if one in SAID and other in SAID:
                table[SAID.index(one)][SAID.index(other)] += 1
        return cls(table)

    def as_data(self) -> dict[str, Any]:
        """``votes``; ``raw``, the share of pairs with the same verdict, with Wilson's interval; ``kappa``, with that of the
        bootstrap. What can't be said is ``None``."""
        votes = sum(map(sum, self.table))
        agreed = sum(self.table[at][at] for at in range(len(SAID)))
        raw, found = agreed / votes if votes else None, kappa(self.table)
        low, high = wilson(raw, votes) if raw is not None else (None, None)
        data: dict[str, Any] = {"votes": votes, "raw": raw, "low": low, "high": high, "kappa": found, "kappa_low": None, "kappa_high": None}
        if found is not None:
            data["kappa_low"], data["kappa_high"] = self._interval()
        return {**data, "labels": list(SAID), "table": self.table}

    def _interval(self) -> tuple[float, float]:
        import numpy as np

        from engine.evaluation.intervals import bootstrap

        size = len(SAID)
        cells = np.repeat(np.arange(size * size), np.ravel(self.table))  # one for each pair
        ((low, high),) = bootstrap(
            len(cells),
            lambda chosen: np.array([_or_nan(kappa(np.bincount(cells[chosen], minlength=size * size).reshape(size, size).tolist()))]),
        )
        return low, high


def kappa(table: Sequence[Sequence[int]]) -> float | None:
    """Cohen's kappa (1960): agreement beyond what the two would have by chance, 1 for all, 0 for no more than chance.

    ``table[i][j]`` counts what one rater called i and the other j. ``None`` where both said the same of all, or of nothing:
    there is no chance to be measured against.
    """
    total = sum(map(sum, table))
    # In whole numbers, so that nothing is lost: observed and expected agreement, each times total².
    observed = total * sum(table[at][at] for at in range(len(table)))
    expected = sum(sum(row) * sum(other[at] for other in table) for at, row in enumerate(table))
    return (observed - expected) / (total * total - expected) if total * total != expected else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
