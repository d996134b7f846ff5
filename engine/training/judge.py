"""A cross-encoder's training: queries with their passages, one score for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from engine.training.ordered import OrderedTrainer

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = -100.0
"""Where there is no passage: what the Trainer itself pads with."""


class Judged:
    """Rows of ``pairs`` become one padded batch of all their pairs: ``input_ids``, ``attention_mask`` (and
    ``token_type_ids``) of shape (pairs, longest), int64; ``labels`` (pairs,), float32; ``query``, which row of the batch each
    pair is of, (pairs,), int64."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        padded = self._tokenizer.pad([pair for row in rows for pair in row["pairs"]], return_tensors="pt")
        labels = torch.tensor([label for row in rows for label in row["labels"]], dtype=torch.float32)
        query = torch.tensor([number for number, row in enumerate(rows) for _ in row["pairs"]])
        return {**padded, "labels": labels, "query": query}


class Judge(OrderedTrainer):
    """Binary cross-entropy on each pair, as sentence-transformers' ``BinaryCrossEntropyLoss`` has it; what belongs together
    counts ``weight`` times, so that it weighs as much as all that it is held against."""

    def __init__(self, *, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weight = torch.tensor(weight, device=self.args.device)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        given = {name: value for name, value in inputs.items() if name not in ("labels", "query")}
        scores = model(**given).logits.squeeze(-1).float()
        loss = functional.binary_cross_entropy_with_logits(scores, inputs["labels"], pos_weight=self._weight)
        return (loss, scores) if return_outputs else loss

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,  # noqa: ARG002
        ignore_keys: Any = None,  # noqa: ARG002
    ) -> tuple[Any, Any, Any]:
        """The loss, and the scores and labels of shape (rows, passages), ``NONE`` where a row has fewer."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, scores = self.compute_loss(model, inputs, return_outputs=True)
        sizes = inputs["query"].bincount().tolist()
        both = (pad_sequence(list(values.split(sizes)), batch_first=True, padding_value=NONE) for values in (scores, inputs["labels"]))
        return (loss.detach(), *both)


def ranked(kind: str, found: Any) -> dict[str, float]:
    """``accuracy``: the share of held-out queries that put what belongs to them before all that it is held against;
    ``spearman``: of the scores with those that were given."""
    import numpy as np

    scores, labels = np.asarray(found.predictions, dtype=np.float64), np.asarray(found.label_ids)
    there = labels != NONE
    if kind == "scores":
        from scipy.stats import spearmanr

        scores, labels = scores[there], labels[there]
        constant = len(set(labels.tolist())) < 2 or float(np.ptp(scores)) == 0.0
        return {} if constant else {"spearman": float(spearmanr(scores, labels).statistic)}
    # What belongs to the query stands first.
    return {"accuracy": float((np.where(there, scores, -np.inf).argmax(1) == 0).mean())}
