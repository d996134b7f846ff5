"""The Command that writes a model as files for elsewhere, and reads them back."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Work
from engine.commands.data.datasets import cell
from engine.commands.system import human
from engine.errors import BitternError, DataError, ModelError
from engine.models.export import Form
from engine.models.gguf_write import Quantisation
from engine.models.merge import Dtype
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.evaluation.roundtrip import Trip
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

QUESTIONS = (
    "What is a heron?", "Name three colours of the sky.", "Write a sentence about water.", "How many legs has a spider?",
    "Say good morning in French.", "What is 7 times 8?", "Why do birds migrate?", "Give me a word that rhymes with reed.",
)  # fmt: skip
"""What is asked where no rows are known that the model was not trained on."""


class ExportModel(Work):
    """Write a model into a folder outside the workspace: an adapter as PEFT has it, a whole model, or a GGUF file.

    Then the round trip: the same prompts go greedily through the model here and through the files, loaded anew, and
    it is told from which token on an answer differs, and by how much the log-probabilities do. The prompts are the
    held-out rows of its training, or --prompts, or --ask. The folder appears when all is written and measured, with a
    README of what is known of the model, and the figures in bittern-export.json.
    """

    verb = "export-model"
    effect = "write"
    words = ("model", "folder")
    examples = (
        "export-model smollm2-tickets ~/tickets",
        "export-model smollm2-tickets ~/tickets-gguf --as gguf --quantisation Q8_0",
        "export-model smollm2-tickets ~/whole --as merged --dtype bfloat16 --prompts tickets/test",
    )
    completes = {"model": "models", "folder": "files", "prompts": "datasets"}
    pauses = False

    model: str = Field(min_length=1, description="Which model")
    folder: str = Field(min_length=1, description="The folder to make")
    as_: Literal["auto", Form] = Field("auto", description="adapter; merged: a whole model in safetensors; gguf (an adapter stays one otherwise)")
    quantisation: Quantisation = Field("F16", description="gguf: the type of its matrices")
    dtype: Dtype = Field("float32", description="merged: the type of an adapter's whole model")
    rows: int = Field(32, ge=0, le=10_000, description="Prompts of the round trip; 0 leaves it out")
    tokens: int = Field(32, ge=1, le=1024, description="Tokens of each answer that are compared")
    prompts: str = Field("", description="Rows to ask: DATASET or DATASET/SPLIT")
    ask: str = Field("", description='Questions to ask instead, with | between them: "Who are you?|What is a heron?"')
    force: bool = Field(False, description="Replace an export that is there")

    def title(self) -> str:
        return f"export {self.model} to {Path(self.folder).name}"

    def prepare(self, desk: Desk) -> ExportModel:
        from engine.models.export import check_form, check_room, check_target, needed

        workspace = desk.workspace
        record = workspace.models.get(self.model)
        base = workspace.models.get(record.beneath) if record.beneath else None
        form: Form = ("adapter" if base else "merged") if self.as_ == "auto" else self.as_
        check_form(record, base, form)
        folder = check_target(workspace, Path(self.folder), force=self.force)
        check_room(folder, needed(record, base, form, self.dtype, self.quantisation))
        if self.prompts:
            _named(workspace, self.prompts)
        return self.model_copy(update={"folder": str(folder), "as_": form})

    def work(self, job: JobContext) -> Result:
        from engine.models.export import REPORT, check_target, write
        from engine.paths import replace_folder, write_json

        began = time.monotonic()
        record = job.workspace.models.get(self.model)
        base = job.workspace.models.get(record.beneath) if record.beneath else None
        form: Any = self.as_
        folder = Path(self.folder)
        temporary = folder.with_name(f".exporting-{folder.name}-{job.id}")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            made = write(job, record, form, temporary, dtype=self.dtype, quantisation=self.quantisation)
            trips = self._trips(job, record, base, made) if self.rows else []
            data = self._data(record, base, made, trips)
            _card(record, base, form, made, self, temporary, trips)
            write_json(temporary / REPORT, data)
            check_target(job.workspace, folder, force=self.force)
            job.check()
            replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return self._told(data, trips, folder, size, time.monotonic() - began)

    def _trips(self, job: JobContext, record: ModelRecord, base: ModelRecord | None, made: Path) -> list[Trip]:
        from engine.devices import set_torch_threads
        from engine.evaluation.roundtrip import inputs_of, round_trip, spoken
        from engine.models.convert import trainable_folder

        if str(record.facts.get("sees", "")).startswith("pictures"):
            job.log("A model that sees is not asked again: what was written is a copy of its files.", "warning")
            return []
        set_torch_threads(job.workspace.settings.threads)
        if self.ask:
            inputs = [spoken(record.kind, text.strip()) for text in self.ask.split("|") if text.strip()]
        elif found := _rows(job, record, self.prompts, self.rows):
            inputs = inputs_of(record.kind, *found)
        else:
            job.log("No rows are known that this model was not trained on: a few questions are asked. --prompts DATASET asks others.", "warning")
            inputs = [spoken(record.kind, text) for text in QUESTIONS]
        if not inputs:
            raise DataError("None of the rows can be asked of this model.", "Choose others with --prompts, or leave the round trip out: --rows 0")
        trips = round_trip(
            job, record, trainable_folder(job, base or record), Path(record.folder) if base else None, made, inputs[: self.rows], self.tokens
        )
        for number, trip in enumerate(trips, 1):
            job.metric(number, "identical", trip.shared)
            if trip.worst is not None:
                job.metric(number, "logprob_difference", trip.worst)
        return trips

    def _data(self, record: ModelRecord, base: ModelRecord | None, made: Path, trips: list[Trip]) -> dict[str, Any]:
        from engine.evaluation.roundtrip import figures

        return {
            "model": record.name, "kind": record.kind, "as": self.as_, "base": base.name if base else None,
            "dtype": self.dtype if self.as_ == "merged" and base else None, "quantisation": self.quantisation if self.as_ == "gguf" else None,
            "tokens": self.tokens, "file": made.name if made.is_file() else None, "round_trip": figures(trips) if trips else None,
        }  # fmt: skip

    def _told(self, data: dict[str, Any], trips: list[Trip], folder: Path, size: int, seconds: float) -> Result:
        from engine.evaluation.roundtrip import summary

        kind = self.quantisation if self.as_ == "gguf" else self.as_
        trip = f" Round trip: {summary(trips)}." if trips else " It was not read back."
        rows = [
            [str(number), cell(trip.prompt, 40), "the same" if trip.same else "differs", "" if trip.first is None else str(trip.first + 1),
             f"{trip.shared:.0%}", "" if trip.worst is None else f"{trip.worst:.2g}"]
            for number, trip in enumerate(trips, 1)
        ]  # fmt: skip
        table = Table(["", "prompt", "answer", "differs from token", "identical", "largest difference"], rows) if rows else None
        told = {**data, "folder": str(folder), "bytes": size, "seconds": round(seconds, 1)}
        return Result(f"{self.model} as {kind} is in {folder} ({human(size)}).{trip}", told, table)


def _card(record: ModelRecord, base: ModelRecord | None, form: Form, made: Path, asked: ExportModel, folder: Path, trips: list[Trip]) -> None:
    from engine.evaluation.roundtrip import summary
    from engine.models.cards import card

    about = {
        **({"File": made.name, "Weights": asked.quantisation} if form == "gguf" else {}),
        **({"Weights": asked.dtype} if form == "merged" and base else {}),
        **({"Round trip": f"{summary(trips)} ({asked.tokens} tokens each)" if record.kind in ("chat", "adapter", "seq2seq") else summary(trips)} if trips else {}),
    }  # fmt: skip
    (folder / "README.md").write_text(card(record, base, form, about), encoding="utf-8")


def _named(workspace: Workspace, prompts: str) -> tuple[DatasetRecord, str]:
    """The dataset and the split behind ``NAME`` or ``NAME/SPLIT``. Raises ``NotFound``, ``DataError``."""
    from engine.data.rows import check_split
    from engine.training.rows import held_out_split

    name, _, split = prompts.removeprefix("dataset:").strip("/").partition("/")
    record = workspace.datasets.get(name)
    first = next(iter(record.splits))
    split = split or held_out_split(record.splits, first) or first
    check_split(record, split)
    return record, split


def _rows(job: JobContext, record: ModelRecord, prompts: str, count: int) -> tuple[DatasetRecord, list[dict[str, Any]]] | None:
    """The rows that are asked for, or those that the model's training held out; ``None`` where they are not known any more."""
    from engine.data.rows import load_split
    from engine.training.rows import draw

    if prompts:
        dataset, split = _named(job.workspace, prompts)
        rows = load_split(dataset, split)
        return dataset, list(rows.select(draw(len(rows), count, 0)))
    for name in (record.name, *record.facts.get("merged", [])):
        model = job.workspace.models.find(name)
        if model is not None and "job" in model.facts:
            try:
                return _held_out(job.workspace, str(model.facts["job"]), count)
            except (BitternError, ValueError, OSError) as error:
                job.log(f"The held-out rows of {name} are not known any more: {error}", "warning")
    return None


def _held_out(workspace: Workspace, number: str, count: int) -> tuple[DatasetRecord, list[dict[str, Any]]]:
    """The rows that a training measured itself on, as it drew them. Raises ``BitternError``, ``ValueError``, ``OSError``."""
    import json

    from engine.commands.registry import restore
    from engine.commands.training.train import Train
    from engine.store.datasets import DatasetRecord
    from engine.training.rows import choose, draw

    training = workspace.jobs.get(number)
    asked = restore(training.verb, training.command)
    if not isinstance(asked, Train):
        raise ModelError(f"Job {number} is a job of `{training.verb}`.", "Choose rows with --prompts.")
    kept = workspace.paths.job(number) / "dataset.json"
    dataset = DatasetRecord(**json.loads(kept.read_text("utf-8")))
    held = choose(dataset, asked.spec(dataset))[1]
    return dataset, list(held.select(draw(len(held), count, 0)))
