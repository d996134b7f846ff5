"""Feedback: answers marked good become likelier than the reference finds them, answers marked bad less likely.

KTO (Ethayarajh et al. 2024, eq. 7 and 8), with r a row's log-ratio of the model to the reference, summed over its answer:
w (1 - σ(β (r - z))) where it is good and w (1 - σ(β (z - r))) where it is bad. z is the mean log-ratio, at least 0 and
without gradient, of answers that belong to other prompts: each prompt of a batch with the answer of the row before it. A
batch of one row has no other answer, and z is 0. The weights make good and bad rows count as much as each other.
"""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from engine.data.shape import as_feedback
from engine.errors import DataError
from engine.training import mask
from engine.training.collate import Pad
from engine.training.foretold import log_likelihood
from engine.training.recipes.sft import Sft
from engine.training.reference import ReferenceTrainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.recipes.sft import Read
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


class Kto(Sft):
    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        prepared = super().prepare(job, spec, folder)
        good = sum(row["good"] for row in prepared.train)
        bad = len(prepared.train) - good
        if not good or not bad:
            raise DataError(
                f"Every usable row of “{spec.dataset}” is marked {'bad' if bad else 'good'}: there is nothing to tell apart.",
                "It needs good and bad answers; a single kind of answer is learnt by --recipe sft.",
            )
        weights = {"good": max(1.0, bad / good), "bad": max(1.0, good / bad)}
        return replace(prepared, facts={**prepared.facts, "good": good, "bad": bad, "weights": weights})

    def read(self, record: DatasetRecord, row: dict[str, Any], tokenizer: Any, max_length: int) -> Read | None:
        prompt, answer, good = as_feedback(record, row)
        found = mask.encode(tokenizer, [*prompt, {"role": "assistant", "content": answer}], max_length)
        return None if found is None else (found, {"input_ids": found.input_ids, "labels": found.labels, "prompt": found.prompt, "good": good})

    def facts(self, spec: TrainSpec) -> dict[str, Any]:
        return {"beta": spec.beta}

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"label_names": ["labels"]}

    def measure(self) -> Callable[[Any], dict[str, float]] | None:
        return judged

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        """The rows first, then their prompts with the answers of others: tensors of shape (2 rows, longest); ``good``, bool (rows,)."""
        pad = Pad(prepared.tokenizer.pad_token_id)
        return lambda rows: {**pad([*rows, *mismatched(rows)]), "good": torch.tensor([row["good"] for row in rows])}

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        return FeedbackTrainer(spec=spec, weights=prepared.facts["weights"], **self.parts(prepared, model, arguments))


def mismatched(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each prompt with the answer of the row before it; no longer than the longest row, a prompt's beginning goes first."""
    longest = max(len(row["input_ids"]) for row in rows)
    found = []
    for row, other in zip(rows, [rows[-1], *rows[:-1]], strict=True):
        answer = other["input_ids"][other["prompt"] :]
        prompt = row["input_ids"][: row["prompt"]][-(longest - len(answer)) :]
        found.append({"input_ids": [*prompt, *answer], "labels": [*[mask.IGNORED] * len(prompt), *answer]})
    return found


class FeedbackTrainer(ReferenceTrainer):
    """Held-out predictions are rewards, of shape (rows,), judged by the marks."""

    def __init__(self, *, weights: dict[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weights = weights

    def loss_of(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, Any]:
        good, rows = inputs["good"], len(inputs["good"])
        own, other = ({name: inputs[name][part] for name in ("input_ids", "attention_mask", "labels")} for part in (slice(rows), slice(rows, None)))
        theirs = self.reference(model, inputs)
        ratios = log_likelihood(model, own)[0] - theirs[:rows]
        with torch.no_grad():
            usual = (log_likelihood(model, other)[0] - theirs[rows:]).mean().clamp(min=0) if rows > 1 else 0.0
        return feedback(ratios, usual, good, self._spec.beta, self._weights).mean(), (self._spec.beta * ratios).detach()


def feedback(ratios: Any, usual: Any, good: Any, beta: float, weights: dict[str, float]) -> Any:
    """The loss of each row, from its log-ratio, the usual one and its mark."""
    gain = torch.where(good, ratios - usual, usual - ratios)
    return torch.where(good, weights["good"], weights["bad"]) * (1 - torch.sigmoid(beta * gain))


def judged(found: Any) -> dict[str, float]:
    """How far the rewards of good answers are above those of bad ones, and the share of rows whose reward has the right sign."""
    rewards, good = found.predictions, found.label_ids.astype(bool)
    right = {"accuracy": float(((rewards > 0) == good).mean())}
    return {"margin": float(rewards[good].mean() - rewards[~good].mean()), **right} if good.any() and not good.all() else right
