"""Measures of predicted numbers, with their intervals. For a job's process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.evaluation.intervals import SAMPLES, Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS = ("mae", "rmse", "r2", "pearson")


def regressed(predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
    """Mean absolute error, root of the mean squared error, R² (1 less the squared error by that of the mean), Pearson's
    and Spearman's correlation, and ``intervals`` by name.

    R² is left out where the references are all the same, a correlation where one side is.
    """
    said, meant = np.array(predictions, dtype=float), np.array(references, dtype=float)
    whole = figures(said, meant)
    known = np.flatnonzero(~np.isnan(whole))
    found = {KEYS[at]: float(whole[at]) for at in known}
    ranges = bootstrap(len(meant), lambda drawn: figures(said[drawn], meant[drawn])[known])
    intervals: dict[str, Interval] = {KEYS[at]: between for at, between in zip(known, ranges, strict=True)}
    if "pearson" in found:
        found["spearman"] = spearman(said, meant)
        # Ranks need the rows in order: a fifth of the resamples.
        (intervals["spearman"],) = bootstrap(len(meant), lambda drawn: np.array([spearman(said[drawn], meant[drawn])]), SAMPLES // 5)
    return {**found, "intervals": intervals}


def figures(said: np.ndarray, meant: np.ndarray) -> np.ndarray:
    """The figures of ``KEYS``, float64 of shape (4,), from float64 of shape (rows,); not a number where undefined."""
    errors = said - meant
    spread = ((meant - meant.mean()) ** 2).sum()
    fit = 1 - (errors**2).sum() / spread if spread > 0 else np.nan
    return np.array([np.abs(errors).mean(), np.sqrt((errors**2).mean()), fit, pearson(said, meant)])


def pearson(said: np.ndarray, meant: np.ndarray) -> float:
    """The correlation of two columns, -1 to 1; not a number where one of them does not vary."""
    x, y = said - said.mean(), meant - meant.mean()
    spread = np.sqrt((x**2).sum() * (y**2).sum())
    # What is left of a constant column after its mean is rounding: no spread.
    tiny = 1e-12 * max(1.0, np.abs(said).max() * np.abs(meant).max()) * len(x)
    return float((x * y).sum() / spread) if spread > tiny else float("nan")


def spearman(said: np.ndarray, meant: np.ndarray) -> float:
    """Pearson's correlation of the ranks, ties with their mean rank."""
    from scipy.stats import rankdata

    return pearson(rankdata(said), rankdata(meant))
