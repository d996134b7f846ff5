"""The task of a regressor: the number of a text, or of two texts together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.evaluation.regression import regressed
from engine.inference.heads import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken


def make(asked: Asked) -> Numbers:
    """Raises ``ModelError``."""
    return Numbers(asked)


class Numbers:
    """Predictions: prediction and reference (in words), said and meant (as numbers), error (said less meant)."""

    def __init__(self, asked: Asked) -> None:
        self._record, self._head = asked.dataset, Head(asked.folder, "regressor")

    def usable(self, row: dict[str, Any]) -> bool:
        return marked.texts_of(self._record, row) is not None and marked.number_of(self._record, row) is not None

    def length(self, row: dict[str, Any]) -> int:
        return sum(map(len, marked.texts_of(self._record, row) or ()))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:  # noqa: ARG002
        texts = [marked.texts_of(self._record, row) or ("",) for row in rows]
        found = []
        for row, of_row, said in zip(rows, texts, self._head.figures(texts)[:, 0].tolist(), strict=True):
            meant = marked.number_of(self._record, row) or 0.0
            found.append({
                "prompt": "\n".join(of_row), "reference": f"{meant:g}", "prediction": f"{said:.4g}", "said": said, "meant": meant, "error": said - meant,
            })  # fmt: skip
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return regressed([row["said"] for row in predictions], [row["meant"] for row in predictions])
