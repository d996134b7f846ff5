"""Supervised fine-tuning of a chat model: loss on the answer and its stop token."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.data.shape import as_messages
from engine.devices import bf16_pays
from engine.errors import DataError
from engine.models.load import load_causal, load_to_train, load_tokenizer
from engine.models.turns import plain_template
from engine.training import mask, methods
from engine.training.checkpoints import begun
from engine.training.recipes import Recipe
from engine.training.recipes.table import RECIPES
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.mask import Encoded
    from engine.training.spec import TrainSpec


Read = tuple["Encoded", dict[str, Any]]
"""What carries loss in a row, for the tally, and the row as the collator takes it."""


class Sft(Recipe):
    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = load_tokenizer(folder)
        train, held_out = choose(record, spec)
        rows, tally = self._encode(job, record, train, tokenizer, spec.max_length, "training rows")
        measured, _ = self._encode(job, record, held_out, tokenizer, spec.max_length, "held-out rows")
        if tally.empty == tally.rows:
            raise DataError(f"No row of “{spec.dataset}” has anything to learn.", f"{RECIPES[spec.recipe].needs} Look at it: show {spec.dataset}")
        if not rows or not measured:
            raise DataError(f"No row of “{spec.dataset}” fits {spec.max_length} tokens with its answer.", f"Try --max-length {spec.max_length * 2}.")
        if not tokenizer.chat_template:
            job.log(
                f"{spec.base} is a base model, with no chat template: it learns from plain lines, the question, then the answer and"
                " the stop token. What is trained keeps that template, and chats with it."
            )
        job.log(mask.describe(mask.preview(tokenizer, rows)))
        return Prepared(rows, measured, tokenizer, self.facts(spec), tally)

    def read(self, record: DatasetRecord, row: dict[str, Any], tokenizer: Any, max_length: int) -> Read | None:
        """A row as tokens, and what is kept of it; ``None`` where its answer alone fills ``max_length``. Raises ``DataError``."""
        found = mask.encode(tokenizer, as_messages(record, row), max_length)
        return None if found is None else (found, {"input_ids": found.input_ids, "labels": found.labels})

    def facts(self, spec: TrainSpec) -> dict[str, Any]:
        """What the model's record should say besides."""
        return {}

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        methods.check(spec)
        if spec.quantise != "none":
            model = load_to_train(folder, spec.quantise)
        else:
            # Frozen weights are kept in bfloat16 where that is native; weights that learn are always float32.
            dtype = spec.frozen or ("bfloat16" if spec.method != "full" and bf16_pays() else "float32")
            model, _ = load_causal(folder, dtype=dtype)
        model.config.use_cache = False
        return methods.adapt(model, spec, "CAUSAL_LM")

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"prediction_loss_only": True}

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        from engine.training.collate import PadAnswers
        from engine.training.foretold import chooses
        from engine.training.ordered import OrderedTrainer

        parts = self.parts(prepared, model, arguments)
        # Several GPUs in one process would share out a batch by rows, and what is kept of it is no row.
        if chooses(model) and arguments.n_gpu < 2:
            parts["data_collator"] = PadAnswers(prepared.tokenizer.pad_token_id)
        return OrderedTrainer(**parts)

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        methods.save(model, folder)
        prepared.tokenizer.chat_template = prepared.tokenizer.chat_template or plain_template(prepared.tokenizer)
        prepared.tokenizer.save_pretrained(folder)

    def kind(self, spec: TrainSpec) -> str:
        return "chat" if spec.method == "full" else "adapter"

    def _encode(
        self, job: JobContext, record: DatasetRecord, rows: Any, tokenizer: Any, max_length: int, what: str
    ) -> tuple[list[dict[str, Any]], Tally]:
        encoded: list[dict[str, Any]] = []
        tally = Tally(rows=len(rows))
        for at, row in enumerate(rows):
            if at % 64 == 0:
                job.check()
                job.progress(at, len(rows), "row", f"reading {what} as tokens")
            try:
                found = self.read(record, row, tokenizer, max_length)
            except DataError:  # This row has no answer; that no row has one is said below.
                tally.empty += 1
                continue
            if found is None:
                tally.long += 1
                continue
            tally.take(found[0], tokenizer.eos_token_id)
            encoded.append(found[1])
        job.progress(len(rows), len(rows), "row", f"reading {what} as tokens")
        if said := tally.says(max_length):
            job.log(f"{what}: {said}.", "warning")
        return encoded, tally
