"""The task of a classifier: the label of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.devices import torch_device
from engine.evaluation import labels
from engine.evaluation.tasks import both
from engine.models.load import cannot_load

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
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._text, self._label = record.columns["text"], record.columns["label"]
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise cannot_load(folder, error) from error
        self._model = model.eval().to(torch_device())
        self._names = {int(number): str(name) for number, name in sorted(model.config.id2label.items())}

    def usable(self, row: dict[str, Any]) -> bool:
        return row.get(self._label) not in (None, "") and bool(str(row.get(self._text) or "").strip())

    def length(self, row: dict[str, Any]) -> int:
        return len(str(row[self._text]))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:  # noqa: ARG002
        import torch

        longest = min(self._tokenizer.model_max_length, getattr(self._model.config, "max_position_embeddings", 512), 512)
        texts = [str(row[self._text]) for row in rows]
        batch = self._tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            shares = self._model(**batch).logits.float().softmax(-1)  # (rows, labels)
        best = shares.max(-1)
        found = []
        for row, text, number, share in zip(rows, texts, best.indices.tolist(), best.values.tolist(), strict=True):
            said, reference = self._names[number], str(row[self._label])
            found.append({"prompt": text, "reference": reference, "prediction": said, "correct": said == reference, "probability": round(share, 5)})
        if len(self._names) <= MOST:
            for kept, of_row in zip(found, shares.tolist(), strict=True):
                kept["shares"] = [round(share, 6) for share in of_row]
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import numpy as np

        meant = [row["reference"] for row in predictions]
        found = labels.labelled([row["prediction"] for row in predictions], meant)
        if all("shares" in row for row in predictions):
            shares = np.array([row["shares"] for row in predictions])
            found = both(found, labels.ranked(shares, meant, list(self._names.values())))
        return found
