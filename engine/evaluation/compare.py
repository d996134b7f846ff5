"""Two runs on the same rows: what differs, whether by more than chance, and which rows flipped. Light at import."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.evaluation import kept

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from engine.store.runs import RunRecord

SAMPLES = 2000
"""Resamplings of the rows behind an interval."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of both runs on the rows they share. ``low`` and ``high``: the paired bootstrap's 95 % interval of
    ``b - a``, where the metric is made of the rows one by one. ``p``: McNemar's exact test, for right and wrong."""

    metric: str
    a: float
    b: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def difference(self) -> float:
        return self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """``rows`` that both runs have; ``flipped`` are those that one has right and the other wrong."""

    rows: int
    differences: list[Difference]
    flipped: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _ByRow:
    """A metric that is ``turn(sum of top / sum of bottom)`` over rows."""

    name: str
    top: str
    bottom: str = ""
    turn: Callable[[Any], Any] = lambda value: value


def compare(a: RunRecord, b: RunRecord) -> Comparison:
    """Raises ``DataError`` when the runs cannot be compared."""
    if (a.dataset, a.split, a.task) != (b.dataset, b.split, b.task):
        raise DataError(
            f"Run {a.id} is {a.task} on {a.dataset}/{a.split}, run {b.id} is {b.task} on {b.dataset}/{b.split}.",
            "Compare runs of the same task on the same rows.",
        )
    if a.fingerprint != b.fingerprint:
        raise DataError(f"“{a.dataset}” has changed between run {a.id} and run {b.id}.", f"Measure again: evaluate {a.model} --on {a.dataset}")
    mine, theirs = _rows(a), _rows(b)
    shared = sorted(mine.keys() & theirs.keys())
    if not shared:
        raise DataError(f"Run {a.id} and run {b.id} have no row in common.", "Measure both with the same --rows and --seed.")
    left, right = [mine[row] for row in shared], [theirs[row] for row in shared]
    return Comparison(len(shared), _differences(a, b, left, right), _flipped(left, right))


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p of McNemar's test: ``only_a`` rows that only A has right, ``only_b`` that only B has."""
    total = only_a + only_b
    if not total:
        return 1.0
    tail = sum(math.comb(total, wins) for wins in range(min(only_a, only_b) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**total)))


def interval(a: np.ndarray, b: np.ndarray, bottom: np.ndarray | None = None, turn: Callable[[Any], Any] | None = None) -> tuple[float, float]:
    """The 95 % interval of ``turn(mean b) - turn(mean a)`` when the rows are drawn again and again, in pairs.

    ``a`` and ``b`` have shape (rows,), float64; with ``bottom`` of the same shape the means are weighted sums
    ``sum(a) / sum(bottom)``. The same rows always give the same interval.
    """
    import numpy as np

    random = np.random.default_rng(0)
    rows = len(a)
    weight = np.ones(rows) if bottom is None else bottom
    found = np.empty(SAMPLES)
    for at in range(SAMPLES):
        drawn = random.integers(0, rows, rows)
        whole = weight[drawn].sum()
        first, second = a[drawn].sum() / whole, b[drawn].sum() / whole
        found[at] = turn(second) - turn(first) if turn else second - first
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _rows(run: RunRecord) -> dict[int, dict[str, Any]]:
    rows = kept.read(Path(run.predictions))
    if not rows:
        raise DataError(f"The predictions of run {run.id} are gone: {run.predictions}.", f"Measure again: evaluate {run.model} --on {run.dataset}")
    return {int(row["row"]): row for row in rows}


def _measures(run: RunRecord, row: dict[str, Any]) -> list[_ByRow]:
    found = []
    if "correct" in row:
        found.append(_ByRow("accuracy" if "accuracy" in run.metrics else "exact_match", "correct"))
    found += [_ByRow(name, name) for name in ("rouge_l", "chrf") if name in row]
    if "nll" in row:
        import numpy as np

        found.append(_ByRow("perplexity", "nll", "tokens", lambda mean: float(np.exp(min(mean, 700.0)))))
    return found


def _differences(a: RunRecord, b: RunRecord, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[Difference]:
    import numpy as np

    found = []
    for measure in _measures(a, left[0]):
        first, second = _column(left, measure.top), _column(right, measure.top)
        weights, others = _column(left, measure.bottom), _column(right, measure.bottom)
        low = high = p = None
        # Two tokenizers cut an answer into different numbers of tokens: then the pairs have no common weight.
        if np.array_equal(weights, others):
            low, high = interval(first, second, weights, measure.turn)
        if measure.top == "correct":
            p = mcnemar(int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum()))
        value, other = float(measure.turn(first.sum() / weights.sum())), float(measure.turn(second.sum() / others.sum()))
        found.append(Difference(measure.name, value, other, low, high, p))
        if measure.name == "accuracy" and len(left) == a.rows == b.rows:
            found.append(Difference("macro_f1", float(a.metrics["macro_f1"]), float(b.metrics["macro_f1"])))
    return found


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """A figure of each row, float64 of shape (rows,); ones for no name."""
    import numpy as np

    return np.array([float(row[name]) if name else 1.0 for row in rows])


def _flipped(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "address": a["address"], "prompt": a["prompt"], "reference": a["reference"], "a": a["prediction"], "b": b["prediction"],
            "a_correct": a["correct"], "b_correct": b["correct"],
        }
        for a, b in zip(left, right, strict=True)
        if a.get("correct") != b.get("correct")
    ]  # fmt: skip
