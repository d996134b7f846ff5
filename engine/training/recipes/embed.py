"""A sentence encoder, tuned so that texts that belong together lie near each other."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.errors import DataError
from engine.models.load import cannot_load, load_tokenizer
from engine.training.checkpoints import begun
from engine.training.methods import adapt
from engine.training.recipes import Recipe
from engine.training.rows import Prepared, choose
from engine.training.texts import Reader, by_label, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.training.spec import TrainSpec


class Embed(Recipe):
    """A prepared row has ``texts``, the tokens of each of its texts (anchor, positive, negative); ``label``, the score or
    the number of the label; ``group``, the same for rows whose positive (or label) is the same."""

    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = load_tokenizer(folder)
        reader = Reader(record, tokenizer, folder, spec.max_length)
        train, held_out = choose(record, spec)
        rows, tally = reader.read(job, train, "training rows")
        held, _ = reader.read(job, held_out, "held-out rows")
        if not rows or not held:
            raise DataError(f"No row of “{spec.dataset}” has the texts that belong together.", f"Look at it: show {spec.dataset}")
        if len(rows) < 2 or (reader.kind == "labels" and len({row["group"] for row in rows}) < 2):
            raise DataError(
                f"The rows of “{spec.dataset}” have nothing to tell apart.", "It takes at least two rows, and two labels where they are labelled."
            )
        if reader.kind == "labels":
            # A measure of one label alone would say nothing.
            held = [held[at] for at in by_label([row["group"] for row in held], spec.seed)]
        return Prepared(rows, held, tokenizer, {"learns_from": reader.kind}, tally)

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        from sentence_transformers import SentenceTransformer

        kwargs = {"dtype": "float32", "use_safetensors": True}
        try:
            model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs=kwargs)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise cannot_load(folder, error) from error
        if spec.method != "full":
            model[0].model = adapt(model[0].model, spec, "FEATURE_EXTRACTION")
        return model

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {}

    def length(self, row: dict[str, Any]) -> int:
        return max(map(len, row["texts"]))

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        from engine.training.contrast import Stack

        return Stack(prepared.tokenizer)

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        from engine.training.contrast import Contrast, loss_of
        from engine.training.order import Apart, Labelled

        kind = prepared.facts["learns_from"]
        if kind == "pairs":
            # A step's rows are compared with each other, however few of them are in memory at once; so are those held out.
            arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps = spec.rows_a_step, 1
            arguments.per_device_eval_batch_size = max(spec.rows_a_step, 8)
        groups = [row["group"] for row in prepared.train]
        order = {"pairs": partial(Apart, keys=[_keys(row) for row in prepared.train]), "labels": partial(Labelled, labels=groups)}.get(kind)
        return Contrast(
            loss=loss_of(kind, model, spec.batch_size if spec.grad_accumulation > 1 else 0),
            part=spec.rows_measured,
            **({"order": order} if order else {}),
            **{**self.parts(prepared, model, arguments), "compute_metrics": partial(measured, kind)},
        )

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        # What is saved stands on its own: search reads it as any other encoder.
        if hasattr(model[0].model, "merge_and_unload"):
            model[0].model = model[0].model.merge_and_unload()
        folder.mkdir(parents=True)
        model.save_pretrained(str(folder), create_model_card=False)

    def kind(self, spec: TrainSpec) -> str:
        return "encoder"


def _keys(row: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    """What must not come twice in a step: a text that is one row's positive is no negative of another with the same text."""
    return tuple(tuple(text) for text in row["texts"])
