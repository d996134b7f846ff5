"""Measures of rows with any number of labels, with their intervals. For a job's process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.evaluation.intervals import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS = ("subset_accuracy", "micro_f1", "macro_f1", "micro_precision", "micro_recall", "hamming")


def counts(prediction: Sequence[str], reference: Sequence[str]) -> tuple[int, int, int]:
    """Of a row's labels: those found rightly, those found, those that are meant."""
    return len(set(prediction) & set(reference)), len(set(prediction)), len(set(reference))


def chosen(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], labels: Sequence[str]) -> dict[str, Any]:
    """Rows with all labels right (subset accuracy), micro and macro F1, micro precision and recall, Hamming loss (the
    share of labels that are wrong), ``by_label``, and ``intervals`` by name.

    ``labels`` are all that there are; macro F1 is over all of them, and a label that is neither meant nor found counts
    0, as in scikit-learn. Raises ``KeyError`` for a label that is not among them.
    """
    said, meant = _table(predictions, labels), _table(references, labels)
    found = dict(zip(KEYS, figures(said, meant).tolist(), strict=True))
    ranges = bootstrap(len(meant), lambda drawn: figures(said[drawn], meant[drawn]))
    right, of_said, of_meant = (said & meant).sum(0), said.sum(0), meant.sum(0)
    by_label = {
        label: {
            "precision": _share(right[at], of_said[at]), "recall": _share(right[at], of_meant[at]), "f1": _share(2 * right[at], of_said[at] + of_meant[at]),
            "rows": int(of_meant[at]),
        }
        for at, label in enumerate(labels)
    }  # fmt: skip
    return {**found, "by_label": by_label, "intervals": dict(zip(KEYS, ranges, strict=True))}


def figures(said: np.ndarray, meant: np.ndarray) -> np.ndarray:
    """The figures of ``KEYS``, float64 of shape (6,), from bools of shape (rows, labels)."""
    right, of_said, of_meant = (said & meant).sum(0), said.sum(0), meant.sum(0)
    both = of_said + of_meant
    f1 = np.divide(2 * right, both, out=np.zeros(len(both)), where=both > 0)
    return np.array([
        (said == meant).all(1).mean(), _share(2 * right.sum(), both.sum()), f1.mean(), _share(right.sum(), of_said.sum()),
        _share(right.sum(), of_meant.sum()), (said != meant).mean(),
    ])  # fmt: skip


def _table(rows: Sequence[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    """Bools of shape (rows, labels)."""
    place = {label: at for at, label in enumerate(labels)}
    table = np.zeros((len(rows), len(labels)), dtype=bool)
    for at, row in enumerate(rows):
        table[at, [place[label] for label in row]] = True
    return table


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
