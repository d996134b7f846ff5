"""The task of a classifier that says any number of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.evaluation.multilabel import chosen, counts
from engine.inference.heads import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken

HALF = 0.5
"""The probability from which a label is said."""
NONE = "(none)"


def make(asked: Asked) -> Labelsets:
    """Raises ``ModelError``."""
    return Labelsets(asked)


class Labelsets:
    """Predictions: prediction and reference (labels in words), sets (labels: said and meant), correct (all are right),
    counts (labels found rightly, found, meant), probability (of all that it said and did not say, as if independent)."""

    def __init__(self, asked: Asked) -> None:
        self._record, self._head = asked.dataset, Head(asked.folder, "multilabel")

    def usable(self, row: dict[str, Any]) -> bool:
        return marked.texts_of(self._record, row) is not None and marked.labels_of(self._record, row) is not None

    def length(self, row: dict[str, Any]) -> int:
        return sum(map(len, marked.texts_of(self._record, row) or ()))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:  # noqa: ARG002
        import math

        texts = [marked.texts_of(self._record, row) or ("",) for row in rows]
        found = []
        for row, of_row, shares in zip(rows, texts, self._head.figures(texts).tolist(), strict=True):
            said = [name for name, share in zip(self._head.names, shares, strict=True) if share > HALF]
            meant = marked.labels_of(self._record, row) or []
            found.append({
                "prompt": "\n".join(of_row), "reference": ", ".join(meant) or NONE, "prediction": ", ".join(said) or NONE, "sets": [said, meant],
                "correct": set(said) == set(meant), "counts": list(counts(said, meant)),
                "probability": round(math.prod(max(share, 1 - share) for share in shares), 5),
            })  # fmt: skip
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        # A label that the model never learnt is still one that it does not find.
        labels = sorted({*self._head.names, *(label for row in predictions for label in row["sets"][1])})
        return chosen([row["sets"][0] for row in predictions], [row["sets"][1] for row in predictions], labels)
