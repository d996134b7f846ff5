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


def paired(
    a: np.ndarray, b: np.ndarray, bottom: np.ndarray | None = None, turn: Callable[[Any], Any] | None = None, other: np.ndarray | None = None
) -> tuple[float, float, float]:
    """``(low, high, p)`` of ``turn(mean b) - turn(mean a)`` when the rows are drawn again and again, in pairs.

    ``a`` and ``b`` have shape (rows,), float64; with ``bottom`` of the same shape the means are weighted sums
    ``sum(a) / sum(bottom)``, and with ``other`` that is the weight of b; ``turn`` must rise. ``low`` and ``high`` are the
    95 % percentile interval; ``p`` is two-sided: twice the smaller share of resamples on one side of no difference (Efron
    and Tibshirani 1993, ch. 15 f.), the data itself counted as a resample, and never below 2 / 2^rows, which is all that
    so few pairs can say. The same rows give the same figures.
    """
    import numpy as np

    random = np.random.default_rng(0)
    rows = len(a)
    weight = np.ones(rows) if bottom is None else bottom
    columns = np.stack([a, b, weight, weight if other is None else other], axis=1)
    samples = max(FEWEST, min(MOST, DRAWN // rows))
    step = max(1, 1_000_000 // rows)
    sums = []
    for start in range(0, samples, step):
        count = min(step, samples - start)
        # How often each row was drawn in each resample: sums of all columns are then one product.
        drawn = random.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        sums.append(np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows) @ columns)
    first, second, whole, of_second = np.concatenate(sums).T
    some = (whole > 0) & (of_second > 0)
    if not some.any():
        return math.nan, math.nan, 1.0
    first, second = first[some] / whole[some], second[some] / of_second[some]
    low, high = np.quantile(turn(second) - turn(first) if turn else second - first, [0.025, 0.975])
    # Equal runs differ by rounding alone: that is no side. ``turn`` rises, so it changes no side.
    apart, tiny = second - first, 1e-12 * np.maximum(np.abs(first), np.abs(second))
    side = min(int((apart <= tiny).sum()), int((apart >= -tiny).sum()))
    p = max(2 * (side + 1) / (len(apart) + 1), 2.0 ** (1 - min(rows, 1000)))
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
