"""What the recipes share that put a head on an encoder: tokens of texts, the head's names, how it is saved."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from engine.data import marked
from engine.data.lineage.pinned import dataset_of
from engine.errors import DataError, ModelError
from engine.models.load import cannot_load
from engine.training.checkpoints import begun
from engine.training.methods import adapt
from engine.training.recipes import Recipe
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.spec import TrainSpec

HEADS = ("classifier", "score", "out_proj", "classification_head")
"""What the new part of a model is called: LoRA must leave it whole, or it could not learn."""
WINDOW = 256
"""Rows that are read as tokens at once."""


class Head(Recipe):
    """A recipe whose model is an encoder with a new head. ``facts["labels"]`` names what the head says, in its order."""

    auto: ClassVar[str] = "AutoModelForSequenceClassification"
    task: ClassVar[str] = "SEQ_CLS"
    problem: ClassVar[str] = ""
    """``problem_type`` of the config, which decides the loss; empty where the architecture alone does."""
    makes: ClassVar[str] = "classifier"
    """The kind of the trained model."""

    @abstractmethod
    def facts(self, record: DatasetRecord, rows: Any) -> dict[str, Any]:
        """What the training rows say of the head. Raises ``DataError`` where they leave nothing to learn."""

    @abstractmethod
    def target(self, record: DatasetRecord, row: dict[str, Any], facts: dict[str, Any]) -> Any:
        """What the model should say of a row; ``None`` where the row does not tell, or tells what no training row has."""

    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = tokenizer_of(folder)
        train, held_out = choose(record, spec)
        facts = self.facts(record, train)
        rows, tally = self.encode(job, record, train, tokenizer, spec, facts, "training rows")
        measured, _ = self.encode(job, record, held_out, tokenizer, spec, facts, "held-out rows")
        if not rows or not measured:
            which = "training" if not rows else "held-out"
            raise DataError(f"None of the {which} rows of “{spec.dataset}” has all that {spec.recipe} needs.", f"Look at it: show {spec.dataset}")
        return Prepared(rows, measured, tokenizer, facts, tally)

    def encode(
        self, job: JobContext, record: DatasetRecord, rows: Any, tokenizer: Any, spec: TrainSpec, facts: dict[str, Any], what: str
    ) -> tuple[list[dict[str, Any]], Tally]:
        """The rows that have what they need, as tokens, and what became of all of them."""
        encoded: list[dict[str, Any]] = []
        tally = Tally(rows=len(rows))
        for start in range(0, len(rows), WINDOW):
            job.check()
            job.progress(start, len(rows), "row", f"reading {what} as tokens")
            window = rows.select(range(start, min(start + WINDOW, len(rows))))
            pairs = [(marked.texts_of(record, row), self.target(record, row, facts)) for row in window]
            whole = [(texts, target) for texts, target in pairs if texts and target is not None]
            tally.empty += len(pairs) - len(whole)
            for row, (_, target) in zip(tokens_of(tokenizer, [texts for texts, _ in whole], spec.max_length, tally), whole, strict=True):
                encoded.append({**row, "labels": target})
        told(job, tally, spec, what)
        return encoded, tally

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        import transformers

        names = prepared.facts["labels"]
        model = headed(
            getattr(transformers, self.auto), spec, folder, prepared.tokenizer, num_labels=len(names), id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
        )  # fmt: skip
        # What this recipe changes must be saved with it, or the model would be read back as something else.
        model.config.problem_type = self.problem or None
        return adapt(model, self._beside_the_head(spec, model), self.task)

    def _beside_the_head(self, spec: TrainSpec, model: Any) -> TrainSpec:
        """PEFT takes the head out of all-linear for a classifier of texts alone; a head is trained whole, and has no adapter."""
        import torch

        if self.task == "SEQ_CLS" or spec.target_modules != "all-linear":
            return spec
        names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and name.split(".")[0] not in HEADS]
        return spec.model_copy(update={"target_modules": "|".join(map(re.escape, names))})

    @abstractmethod
    def measured(self, predictions: Any, targets: Any, prepared: Prepared) -> dict[str, float]:
        """What is measured on the held-out rows: NumPy arrays as :meth:`reduce` and the collator leave them."""

    def reduce(self, logits: Any, labels: Any) -> Any:
        """What is kept of a batch's logits until all are measured."""
        return logits

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        trainer = super().trainer(spec, prepared, model, arguments)
        trainer.compute_metrics = lambda found: self.measured(found.predictions, found.label_ids, prepared)
        trainer.preprocess_logits_for_metrics = self.reduce
        return trainer

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {}

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        # A model with a head is small: an adapter is merged, so that what is saved stands on its own.
        whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        self.finish(whole, prepared)
        whole.save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)

    def finish(self, model: Any, prepared: Prepared) -> None:
        """What is left to do to the weights before they are written."""

    def kind(self, spec: TrainSpec) -> str:
        return self.makes


def headed(loader: Any, spec: TrainSpec, folder: Path, tokenizer: Any, **config: Any) -> Any:
    """A model of ``loader`` (an Auto class), float32, with a new head where ``folder`` has none that fits. Raises ``ModelError``."""
    try:
        model = loader.from_pretrained(folder, dtype="float32", ignore_mismatched_sizes=True, use_safetensors=True, local_files_only=True, **config)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise cannot_load(folder, error) from error
    model.config.pad_token_id = tokenizer.pad_token_id
    if spec.method != "full" and not any(hasattr(model, head) for head in HEADS):
        raise ModelError(f"“{spec.base}” has no head that LoRA can leave whole.", "Train it whole: --method full")
    return model


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of an encoder. Raises ``ModelError``."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(folder, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tokens_of(tokenizer: Any, texts: Sequence[tuple[str, ...]], max_length: int, tally: Tally) -> list[dict[str, Any]]:
    """``input_ids`` of each text, or of its two texts with what tells them apart; counted in ``tally``."""
    if not texts:
        return []
    columns: list[list[str]] = [list(column) for column in zip(*texts, strict=True)]
    found = tokenizer(*columns, truncation=True, max_length=max_length)
    # Only a fast tokenizer tells what it cut off.
    over = [bool(one.overflowing) for one in found.encodings or []] or [False] * len(texts)
    kinds = found.get("token_type_ids") if len(columns) > 1 else None
    rows: list[dict[str, Any]] = []
    for at, (ids, cut) in enumerate(zip(found["input_ids"], over, strict=True)):
        take(tally, len(ids), cut=cut)
        rows.append({"input_ids": ids, **({"token_type_ids": kinds[at]} if kinds else {})})
    return rows


def take(tally: Tally, tokens: int, *, cut: bool) -> None:
    """Count a row that is kept."""
    tally.kept += 1
    tally.cut += cut
    tally.tokens += tokens
    tally.longest = max(tally.longest, tokens)


def told(job: JobContext, tally: Tally, spec: TrainSpec, what: str) -> None:
    """Say that all rows were read, and what was cut and left out."""
    job.progress(tally.rows, tally.rows, "row", f"reading {what} as tokens")
    if said := tally.says(spec.max_length):
        job.log(f"{what}: {said}.", "warning")
