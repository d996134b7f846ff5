"""The task of a classifier: the label of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.marked import texts_of
from engine.evaluation import labels
from engine.evaluation.tasks import both
from engine.inference.heads import Head

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken
    from engine.store.datasets import DatasetRecord

MOST = 200
"""Labels of a model whose probabilities are all kept."""


def make(asked: Asked) -> Classification:
    """Raises ``ModelError``."""
    return Classification(asked.folder, asked.dataset)


class Classification:
    """The label that a classifier finds most likely.

    Predictions: prediction, reference, correct, probability, and shares: the probability of every label, in the
    order of the model's, where it has no more than ``MOST``.
    """

    def __init__(self, folder: Path, record: DatasetRecord) -> None:
        """Raises ``ModelError``."""
        self._record, self._label = record, record.columns["label"]
        self._head = Head(folder, "classifier")

    def usable(self, row: dict[str, Any]) -> bool:
        return row.get(self._label) not in (None, "") and texts_of(self._record, row) is not None

    def length(self, row: dict[str, Any]) -> int:
        return sum(map(len, texts_of(self._record, row) or ()))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:  # noqa: ARG002
        texts = [texts_of(self._record, row) or ("",) for row in rows]
        shares = self._head.figures(texts)  # (rows, labels)
        best = shares.max(-1)
        found = []
        for row, of_row, number, share in zip(rows, texts, best.indices.tolist(), best.values.tolist(), strict=True):
            said, reference = self._head.names[number], str(row[self._label])
            found.append({
                "prompt": "\n".join(of_row), "reference": reference, "prediction": said, "correct": said == reference, "probability": round(share, 5),
            })  # fmt: skip
        if len(self._head.names) <= MOST:
            for kept, of_row in zip(found, shares.tolist(), strict=True):
                kept["shares"] = [round(share, 6) for share in of_row]
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import numpy as np

        meant = [row["reference"] for row in predictions]
        found = labels.labelled([row["prediction"] for row in predictions], meant)
        if all("shares" in row for row in predictions):
            shares = np.array([row["shares"] for row in predictions])
            found = both(found, labels.ranked(shares, meant, self._head.names))
        return found
