"""Preference: of two answers to a prompt, the one that was chosen becomes likelier than the other, against a reference.

The losses, with m the difference of the two answers' log-ratios to the reference, each the sum over its tokens: sigmoid
-log σ(β m) (DPO, Rafailov et al. 2023, eq. 7); hinge max(0, 1 - β m) (SLiC, Zhao et al. 2023); ipo (m - 1 / 2β)² (Azar et
al. 2023, eq. 17). orpo has no reference: the chosen answer's mean negative log-likelihood, less β log σ of the log odds ratio
of the answers' mean likelihoods (Hong et al. 2024, eq. 6).
"""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import logsigmoid

from engine.data.shape import as_preference
from engine.training import mask
from engine.training.collate import Pad
from engine.training.foretold import log_likelihood
from engine.training.recipes.sft import Sft
from engine.training.reference import ReferenceTrainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import Trainer, TrainingArguments

    from engine.store.datasets import DatasetRecord
    from engine.training.recipes.sft import Read
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


class Dpo(Sft):
    def read(self, record: DatasetRecord, row: dict[str, Any], tokenizer: Any, max_length: int) -> Read | None:
        prompt, *answers = as_preference(record, row)
        chosen, rejected = (mask.encode(tokenizer, [*prompt, {"role": "assistant", "content": answer}], max_length) for answer in answers)
        if chosen is None or rejected is None:
            return None
        return chosen, {
            "input_ids": chosen.input_ids, "labels": chosen.labels, "rejected_ids": rejected.input_ids, "rejected_labels": rejected.labels,
        }  # fmt: skip

    def facts(self, spec: TrainSpec) -> dict[str, Any]:
        return {"loss": spec.loss, "beta": spec.beta}

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"label_names": ["labels"]}

    def measure(self) -> Callable[[Any], dict[str, float]] | None:
        return judged

    def length(self, row: dict[str, Any]) -> int:
        return max(len(row["input_ids"]), len(row["rejected_ids"]))

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        """Chosen answers first, then the rejected ones of the same rows: tensors of shape (2 rows, longest)."""
        pad = Pad(prepared.tokenizer.pad_token_id)
        return lambda rows: pad([*rows, *({"input_ids": row["rejected_ids"], "labels": row["rejected_labels"]} for row in rows)])

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        return PreferenceTrainer(spec=spec, **self.parts(prepared, model, arguments))


class PreferenceTrainer(ReferenceTrainer):
    """Its loss is that of ``spec.loss``. Held-out predictions are rewards, of shape (rows, 2): chosen, rejected."""

    def loss_of(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, Any]:
        ours, tokens = log_likelihood(model, inputs)
        if self._spec.loss == "orpo":
            chosen, rejected = (ours / tokens).chunk(2)
            odds = chosen - rejected - (torch.log1p(-torch.exp(chosen)) - torch.log1p(-torch.exp(rejected)))
            loss = -chosen.mean() - self._spec.beta * logsigmoid(odds).mean()
        else:
            chosen, rejected = (ours - self.reference(model, inputs)).chunk(2)
            loss = preference(self._spec.loss, chosen - rejected, self._spec.beta).mean()
        return loss, (self._spec.beta * torch.stack([chosen, rejected], 1)).detach()


def preference(name: str, margin: Any, beta: float) -> Any:
    """The loss of each row, from the difference of its answers' log-ratios."""
    if name == "ipo":
        return (margin - 1 / (2 * beta)) ** 2
    if name == "hinge":
        return torch.relu(1 - beta * margin)
    return -logsigmoid(beta * margin)


def judged(found: Any) -> dict[str, float]:
    """How far the chosen answers' rewards are above the others', and in which share of the rows they are."""
    chosen, rejected = found.predictions[:, 0], found.predictions[:, 1]
    return {"margin": float((chosen - rejected).mean()), "accuracy": float((chosen > rejected).mean())}
