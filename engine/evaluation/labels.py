"""Measures of labels, as metrics of the ``evaluate`` library, with their intervals. For a job's process only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.evaluation.intervals import SAMPLES, Interval, bootstrap
from engine.evaluation.metrics import Accuracy, Confusion, MacroF1, Measure, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""
COUNTED = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "mcc")


class Precision(Measure):
    about = "Precision of each label that the references have, averaged without regard to how often it occurs."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sklearn.metrics import precision_score

        found = precision_score(references, predictions, labels=sorted(set(references)), average="macro", zero_division=0)
        return {"macro_precision": float(found)}


class Recall(Measure):
    about = "Recall of each label that the references have, averaged without regard to how often it occurs."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sklearn.metrics import recall_score

        return {"macro_recall": float(recall_score(references, predictions, labels=sorted(set(references)), average="macro", zero_division=0))}


class Matthews(Measure):
    about = "Matthews' correlation of predictions and references, -1 to 1 (for many labels: Gorodkin 2004)."

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sklearn.metrics import matthews_corrcoef

        return {"mcc": float(matthews_corrcoef(references, predictions))}


def labelled(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1, precision and recall, Matthews' correlation, confusion, and ``intervals`` by name."""
    found = measure([Accuracy(), MacroF1(), Precision(), Recall(), Matthews(), Confusion()], predictions, references)
    names = {name: number for number, name in enumerate(found["confusion"]["labels"])}
    meant, said = np.array([names[name] for name in references]), np.array([names[name] for name in predictions])
    present = np.unique(meant)
    ranges = bootstrap(len(meant), lambda drawn: counted(meant[drawn], said[drawn], len(names), present))
    return {**found, "intervals": dict(zip(COUNTED, ranges, strict=True))}


def ranked(shares: np.ndarray, references: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Area under the ROC curve and expected calibration error, with ``intervals``.

    ``shares`` are probabilities, float64 of shape (rows, labels); ``labels`` names their columns. Empty where the
    rows have one label only, or one that the model does not know.
    """
    numbers = {name: number for number, name in enumerate(labels)}
    if not set(references) <= numbers.keys() or len(set(references)) < 2:
        return {}
    meant = np.array([numbers[name] for name in references])
    found = {"auroc": auroc(shares, meant), "ece": calibration_error(shares, meant)}
    (area,) = bootstrap(len(meant), lambda drawn: np.array([auroc(shares[drawn], meant[drawn])]), SAMPLES // 5)
    (error,) = bootstrap(len(meant), lambda drawn: np.array([calibration_error(shares[drawn], meant[drawn])]))
    intervals: dict[str, Interval] = {"auroc": area, "ece": error}
    return {**found, "intervals": intervals}


def counted(meant: np.ndarray, said: np.ndarray, size: int, present: np.ndarray) -> np.ndarray:
    """The figures of ``COUNTED``, float64 of shape (5,), from label numbers, int64 of shape (rows,), below ``size``.

    Averages are over the labels ``present`` in the whole set, so that a label which a resample misses counts 0.
    """
    matrix = np.bincount(meant * size + said, minlength=size * size).reshape(size, size).astype(float)
    right, of_meant, of_said, rows = matrix.diagonal(), matrix.sum(1), matrix.sum(0), len(meant)
    precision = np.divide(right, of_said, out=np.zeros(size), where=of_said > 0)[present]
    recall = np.divide(right, of_meant, out=np.zeros(size), where=of_meant > 0)[present]
    both = of_said + of_meant
    f1 = np.divide(2 * right, both, out=np.zeros(size), where=both > 0)[present]
    spread = np.sqrt((rows**2 - (of_said**2).sum()) * (rows**2 - (of_meant**2).sum()))
    mcc = (right.sum() * rows - (of_said * of_meant).sum()) / spread if spread else 0.0
    return np.array([right.sum() / rows, f1.mean(), precision.mean(), recall.mean(), mcc])


def auroc(shares: np.ndarray, meant: np.ndarray) -> float:
    """Area under the ROC curve: of the second label where there are two, else the mean of each label against the rest
    (over labels that occur and are not all there is). By ranks, ties halved: the Mann-Whitney statistic."""
    from scipy.stats import rankdata

    columns = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    mine = np.stack([meant == column for column in columns], axis=1)  # (rows, columns)
    positives = mine.sum(0)
    some = (positives > 0) & (positives < len(meant))
    if not some.any():
        return float("nan")
    ranks = rankdata(shares[:, np.array(list(columns))[some]], axis=0)
    mine, positives = mine[:, some], positives[some]
    above = (ranks * mine).sum(0) - positives * (positives + 1) / 2
    return float((above / (positives * (len(meant) - positives))).mean())


def calibration_error(shares: np.ndarray, meant: np.ndarray) -> float:
    """Expected calibration error: rows in ``BINS`` equal bins of the likeliest label's probability, the mean distance
    between that probability and how often it was right, weighed by rows (Guo et al. 2017)."""
    confidence, right = shares.max(1), shares.argmax(1) == meant
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, confidence - right, BINS)
    return float(np.abs(gap).sum() / len(meant))
