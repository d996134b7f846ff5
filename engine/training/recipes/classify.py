"""A classifier from an encoder: one label for each text."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.pinned import dataset_of
from engine.errors import DataError, ModelError
from engine.models.load import cannot_load
from engine.training.checkpoints import begun
from engine.training.methods import adapt
from engine.training.recipes import Recipe
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.training.spec import TrainSpec


class Classify(Recipe):
    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        from transformers import AutoTokenizer

        record = dataset_of(job, spec.dataset, kept=begun(job))
        text, label = record.columns["text"], record.columns["label"]
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise cannot_load(folder, error) from error
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        train, held_out = choose(record, spec)
        names = sorted({name for name in label_names(train, label) if name})
        if len(names) < 2:
            raise DataError(f"The column “{label}” of “{spec.dataset}” has {len(names)} labels.", "A classifier needs at least two.")
        numbers = {name: number for number, name in enumerate(names)}
        rows, tally = _encode(job, train, text, label, tokenizer, numbers, spec.max_length, "training rows")
        measured, _ = _encode(job, held_out, text, label, tokenizer, numbers, spec.max_length, "held-out rows")
        if not rows or not measured:
            raise DataError(f"No row of “{spec.dataset}” has both “{text}” and “{label}”.", f"Look at it: show {spec.dataset}")
        return Prepared(rows, measured, tokenizer, {"labels": names}, tally)

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        from transformers import AutoModelForSequenceClassification

        names = prepared.facts["labels"]
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder,
                num_labels=len(names),
                id2label=dict(enumerate(names)),
                label2id={name: number for number, name in enumerate(names)},
                dtype="float32",
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise cannot_load(folder, error) from error
        model.config.pad_token_id = prepared.tokenizer.pad_token_id
        # What this recipe changes must be saved with it, or the model would be read back as something else.
        model.config.problem_type = "single_label_classification"
        if spec.method != "full" and not any(hasattr(model, head) for head in ("classifier", "score")):
            raise ModelError(f"“{spec.base}” has no classification head that LoRA can leave whole.", "Train it whole: --method full")
        return adapt(model, spec, "SEQ_CLS")

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"label_smoothing_factor": spec.label_smoothing}

    def measure(self) -> Callable[[Any], dict[str, float]] | None:
        return lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        # A classifier is small: an adapter is merged, so that what is saved stands on its own.
        whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        whole.save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)

    def kind(self, spec: TrainSpec) -> str:
        return "classifier"


def label_names(rows: Any, column: str) -> list[str]:
    """The labels of a ``datasets.Dataset`` as words; an empty string where there is none."""
    feature = rows.features[column]
    values = list(rows[column])
    if hasattr(feature, "int2str"):
        return ["" if value is None or value < 0 else str(feature.int2str(value)) for value in values]
    return ["" if value is None else str(value) for value in values]


def _encode(
    job: JobContext, rows: Any, text: str, label: str, tokenizer: Any, numbers: dict[str, int], max_length: int, what: str
) -> tuple[list[dict[str, Any]], Tally]:
    encoded: list[dict[str, Any]] = []
    tally = Tally(rows=len(rows))
    names = label_names(rows, label)
    note = f"reading {what} as tokens"
    for start in range(0, len(rows), 256):
        job.check()
        job.progress(start, len(rows), "row", note)
        texts = ["" if value is None else str(value) for value in rows[start : start + 256][text]]
        found = tokenizer(texts, truncation=True, max_length=max_length)
        # Only a fast tokenizer tells what it cut off.
        over = [bool(one.overflowing) for one in found.encodings or []] or [False] * len(texts)
        for ids, value, name, cut in zip(found["input_ids"], texts, names[start:], over, strict=False):
            if not value.strip() or name not in numbers:
                tally.empty += 1
                continue
            tally.kept, tally.cut, tally.tokens, tally.longest = (
                tally.kept + 1,
                tally.cut + cut,
                tally.tokens + len(ids),
                max(tally.longest, len(ids)),
            )
            encoded.append({"input_ids": ids, "labels": numbers[name]})
    job.progress(len(rows), len(rows), "row", note)
    if said := tally.says(max_length):
        job.log(f"{what}: {said}.", "warning")
    return encoded, tally
