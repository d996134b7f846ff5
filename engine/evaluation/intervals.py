"""Bootstrap intervals: how far a figure would move if other rows had been drawn. For a job's process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAMPLES = 1000
"""Resamplings of the rows behind an interval; a fifth of that for figures that need the rows in order."""
Interval = tuple[float, float]


def bootstrap(rows: int, statistic: Callable[[Any], np.ndarray], samples: int = SAMPLES, seed: int = 0) -> list[Interval]:
    """95 % percentile intervals (Efron 1979) of the figures that ``statistic`` finds in resampled rows.

    ``statistic`` takes row numbers, int64 of shape (rows,), drawn with replacement, and returns float64 of shape
    (figures,); figures that are not a number in a resample are left out of it. The same rows give the same interval.
    """
    random = np.random.default_rng(seed)
    found = np.array([statistic(random.integers(0, rows, rows)) for _ in range(samples)])
    low, high = np.nanquantile(found, [0.025, 0.975], axis=0)
    return [(float(a), float(b)) for a, b in zip(np.atleast_1d(low), np.atleast_1d(high), strict=True)]


def of_means(columns: dict[str, Sequence[float]]) -> dict[str, Interval]:
    """Intervals of the means of figures that each row has."""
    values = np.array([list(map(float, column)) for column in columns.values()])  # (figures, rows)
    return dict(zip(columns, bootstrap(values.shape[1], lambda drawn: values[:, drawn].mean(1)), strict=True))


def of_ratio(top: Sequence[float], bottom: Sequence[float], turn: Callable[[Any], Any]) -> Interval:
    """The interval of ``turn(sum(top) / sum(bottom))``."""
    above, below = np.array(top, dtype=float), np.array(bottom, dtype=float)
    return bootstrap(len(above), lambda drawn: np.array([turn(above[drawn].sum() / below[drawn].sum())]))[0]
