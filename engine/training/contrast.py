"""Learning which texts belong together, by the losses of sentence-transformers and in the order of our Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.sentence_transformer.losses import (
    BatchAllTripletLoss,
    CachedMultipleNegativesRankingLoss,
    CoSENTLoss,
    MultipleNegativesRankingLoss,
)
from torch.nn import functional

from engine.training.ordered import OrderedTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def loss_of(kind: str, model: Any, part: int = 0) -> torch.nn.Module:
    """The loss for rows of ``kind``. ``part``: rows in memory at once, where that is not the whole step.

    Pairs and triplets: each anchor should be nearer to its positive than to all other texts of the step (van den Oord
    et al. 2018); in parts, the gradient is cached (Gao et al. 2021), so that the step is the same. Scores: cosines in the
    order of the scores (CoSENT). Labels: all triplets of a batch (Hermans et al. 2017).
    """
    if kind == "labels":
        return BatchAllTripletLoss(model)
    if kind == "scores":
        return CoSENTLoss(model)
    return CachedMultipleNegativesRankingLoss(model, mini_batch_size=part) if part else MultipleNegativesRankingLoss(model)


class Stack:
    """Rows with ``texts`` become one padded batch, column behind column: first the anchors, then the positives.

    ``input_ids`` and ``attention_mask``: (columns · rows, longest), int64; ``label`` (rows,), float32 or, of labels,
    int64; ``group`` (rows,), int64.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        columns = len(rows[0]["texts"])
        texts = [row["texts"][column] for column in range(columns) for row in rows]
        padded = self._tokenizer.pad({"input_ids": texts}, return_tensors="pt")
        groups = torch.tensor([row["group"] for row in rows])
        labels = groups if columns == 1 else torch.tensor([row["label"] for row in rows], dtype=torch.float32)
        return {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"], "label": labels, "group": groups}


class Contrast(OrderedTrainer):
    """``loss`` is one of :func:`loss_of`; of the held-out rows, ``part`` are in memory at once. What it predicts are their
    vectors."""

    def __init__(self, *, loss: torch.nn.Module, part: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._loss, self._part = loss.to(self.args.device), part

    def compute_loss(
        self,
        model: Any,  # noqa: ARG002 -- the Trainer's signature
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        loss = self._loss(features(inputs), inputs["label"])
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,  # noqa: ARG002
        ignore_keys: Any = None,  # noqa: ARG002
    ) -> tuple[Any, Any, Any]:
        """The loss, the vectors of anchor and positive side by side, and ``(label, group)``."""
        inputs = self._prepare_inputs(inputs)
        columns = features(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            vectors = [torch.cat([model(part)["sentence_embedding"] for part in self._parts(column)]) for column in columns]
            whole = self._loss.loss if isinstance(self._loss, CachedMultipleNegativesRankingLoss) else self._loss
            loss = whole.compute_loss_from_embeddings(vectors, inputs["label"])
        found = torch.cat([functional.normalize(vector.float(), dim=1) for vector in vectors[:2]], dim=1)
        return loss.detach().float(), found, (inputs["label"], inputs["group"])

    def _parts(self, column: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
        for pieces in zip(*(values.split(self._part) for values in column.values()), strict=True):
            yield dict(zip(column, pieces, strict=True))


def features(inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """A :class:`Stack`'s batch as sentence-transformers wants it: a dictionary for each column, padded no further than
    its own longest text."""
    rows = len(inputs["label"])
    found = []
    for ids, mask in zip(inputs["input_ids"].split(rows), inputs["attention_mask"].split(rows), strict=True):
        longest = int(mask.sum(1).max())
        found.append({"input_ids": ids[:, :longest], "attention_mask": mask[:, :longest]})
    return found
