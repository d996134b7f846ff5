"""Whether a difference is more than chance: tests for rows in pairs, and Holm's correction for several of them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

FEWEST, MOST, DRAWN = 2000, 10_000, 20_000_000
"""Resamplings of the rows: as many as ``DRAWN`` rows allow in all, between the two."""
LEVEL = 0.05
"""What p must not be above for a difference to count as more than chance."""


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p of McNemar's test: ``only_a`` rows that only A has right, ``only_b`` that only B has."""
    total = only_a + only_b
    if not total:
        return 1.0
    tail = sum(math.comb(total, wins) for wins in range(min(only_a, only_b) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**total)))


def paired(a: np.ndarray, b: np.ndarray, bottom: np.ndarray | None = None, turn: Callable[[Any], Any] | None = None) -> tuple[float, float, float]:
    """``(low, high, p)`` of ``turn(mean b) - turn(mean a)`` when the rows are drawn again and again, in pairs.

    ``a`` and ``b`` have shape (rows,), float64; with ``bottom`` of the same shape the means are weighted sums
    ``sum(a) / sum(bottom)``. ``low`` and ``high`` are the 95 % percentile interval; ``p`` is two-sided: twice the smaller
    share of resamples on one side of no difference (Efron and Tibshirani 1993, ch. 15 f.), the data itself counted as a
    resample, and never below 2 / 2^rows, which is all that so few pairs can say. The same rows give the same figures.
    """
    import numpy as np

    random = np.random.default_rng(0)
    rows = len(a)
    weight = np.ones(rows) if bottom is None else bottom
    samples = max(FEWEST, min(MOST, DRAWN // rows))
    found = []
    step = max(1, 1_000_000 // rows)
    for start in range(0, samples, step):
        drawn = random.integers(0, rows, (min(step, samples - start), rows))
        whole = weight[drawn].sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            first, second = a[drawn].sum(1) / whole, b[drawn].sum(1) / whole
        found.append(turn(second) - turn(first) if turn else second - first)
    differences = np.concatenate(found)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return math.nan, math.nan, 1.0
    low, high = np.quantile(differences, [0.025, 0.975])
    # Equal runs differ by rounding alone: that is no side.
    tiny = 1e-12 * max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
    side = min(int((differences <= tiny).sum()), int((differences >= -tiny).sum()))
    p = max(2 * (side + 1) / (len(differences) + 1), 2.0 ** (1 - min(rows, 1000)))
    return float(low), float(high), min(1.0, p)


def holm(found: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down p for several tests (1979): the chance of even one false alarm among them stays below ``LEVEL``.

    Places where nothing was tested stay ``None``, and do not count.
    """
    tested = sorted((p, at) for at, p in enumerate(found) if p is not None)
    adjusted: list[float | None] = [None] * len(found)
    worst = 0.0
    for before, (p, at) in enumerate(tested):
        worst = max(worst, min(1.0, p * (len(tested) - before)))
        adjusted[at] = worst
    return adjusted
