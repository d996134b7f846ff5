"""Commands about measuring: evaluate, runs, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import BitternError, DataError, ModelError, NotFound
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.evaluation.compare import Comparison, Difference
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.runs import RunRecord


class Evaluate(Work):
    """Measure a model on a dataset, and keep every prediction.

    A classifier is measured by its labels (accuracy, macro F1, confusion); a chat model or adapter by what it writes
    (exact match, ROUGE-L, chrF) and by the perplexity of the right answer; on labelled texts by its labels too.
    Measure two models on the same rows, then `compare` them.
    """

    verb = "evaluate"
    effect = "compute"
    words = ("model",)
    examples = ("evaluate smollm2 --on tickets", "evaluate banking --on banking77 --rows 0", "evaluate smollm2 --on tickets --task perplexity")
    completes = {"model": "models", "on": "datasets"}

    model: str = Field(description="The model to measure")
    on: str = Field(description="The dataset to measure on")
    split: str = Field("", description="The split (test, or validation, or the only one)")
    task: Literal["auto", "classification", "generation", "perplexity"] = Field("auto", description="What the model is asked to do")
    rows: int = Field(200, ge=0, description="Measure on so many rows, drawn with the seed; 0 for all")
    batch_size: int = Field(8, ge=1, description="Rows in one forward pass")
    max_tokens: int = Field(64, ge=1, description="Longest generated answer, in tokens")
    seed: int = Field(0, ge=0, description="Which rows are drawn")

    def title(self) -> str:
        return f"evaluate {self.model} on {self.on}"

    def prepare(self, desk: Desk) -> Evaluate:
        workspace = desk.workspace
        model, dataset = workspace.models.get(self.model), workspace.datasets.get(self.on)
        if model.kind == "adapter":
            workspace.models.get(model.base)
        task = ("classification" if model.kind == "classifier" else "generation") if self.task == "auto" else self.task
        _check(task, model, dataset)
        return self.model_copy(update={"task": task, "split": _split(self.split, dataset)})

    def work(self, job: JobContext) -> Result:
        from engine.evaluation.run import evaluate
        from engine.evaluation.spec import EvalSpec

        values = {"model": self.model, "dataset": self.on, "split": self.split, "task": self.task, "rows": self.rows}
        return evaluate(job, EvalSpec.model_validate({**values, "batch_size": self.batch_size, "max_tokens": self.max_tokens, "seed": self.seed}))


class Runs(Now):
    """List the evaluation runs, the newest first."""

    verb = "runs"
    words = ("on",)
    examples = ("runs", "runs tickets")
    completes = {"on": "datasets"}

    on: str = Field("", description="Only those on this dataset")

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.figures import headline

        found = [run for run in desk.workspace.runs.all() if self.on in ("", run.dataset)]
        if not found:
            return Result("There are no evaluation runs yet. `evaluate MODEL --on DATASET` makes one.", {"runs": []})
        rows = [[run.id, run.model, f"{run.dataset}/{run.split}", run.task, str(run.rows), headline(run.metrics), run.created[:16]] for run in found]
        table = Table(["run", "model", "on", "task", "rows", "metrics", "made"], rows)
        return Result(f"{len(found)} runs.", {"runs": [_as_data(run) for run in found]}, table)


class Compare(Now):
    """Compare two evaluation runs row by row: what differs, whether by more than chance, and which rows flipped.

    Name two runs, or two models: then their latest runs on a common dataset, split and task are taken.
    """

    verb = "compare"
    words = ("a", "b")
    examples = ("compare smollm2 smollm2-tickets", "compare 3 4")
    completes = {"a": "runs", "b": "runs"}

    a: str = Field(description="A run's number or a model's name")
    b: str = Field(description="Another run's number or model's name")

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.compare import compare

        a, b = _pair(desk, self.a, self.b)
        return _told(a, b, compare(a, b))


def _check(task: str, model: ModelRecord, dataset: DatasetRecord) -> None:
    if model.kind == "encoder":
        raise ModelError(
            f"“{model.name}” is an encoder: it gives texts a place, not an answer.", f"Train it first: train {model.name} --on {dataset.name}"
        )
    if (task == "classification") != (model.kind == "classifier"):
        raise ModelError(
            f"“{model.name}” is {'an' if model.kind == 'adapter' else 'a'} {model.kind}: it can't be measured by {task}.",
            "Leave --task open: it follows from the model.",
        )
    if task == "classification" and dataset.shape != "classification":
        raise DataError(f"“{dataset.name}” has the shape {dataset.shape}: its rows have no label.", "A classifier needs a text and a label.")
    if dataset.shape not in ("conversation", "instruction", "classification"):
        raise DataError(
            f"“{dataset.name}” has the shape {dataset.shape}: its rows have no answer to measure against.",
            "Measuring needs messages, a prompt and a completion, or a text and a label.",
        )


def _split(asked: str, dataset: DatasetRecord) -> str:
    """The split to measure on: test or validation before anything that was trained on."""
    known = [name for name, rows in dataset.splits.items() if rows]
    if asked and asked not in known:
        raise NotFound.named("split", f"{dataset.name}/{asked}", [f"{dataset.name}/{name}" for name in known], f"It has {', '.join(known)}.")
    if not known:
        raise DataError(f"“{dataset.name}” has no rows.", "Add rows to measure on.")
    return asked or next((name for name in ("test", "validation", "valid", "dev", "eval") if name in known), known[0])


def _as_data(run: RunRecord) -> dict[str, Any]:
    return {
        "run": run.id, "job": run.job, "model": run.model, "dataset": run.dataset, "split": run.split, "task": run.task, "rows": run.rows,
        "metrics": run.metrics, "predictions": run.predictions, "created": run.created,
    }  # fmt: skip


def _pair(desk: Desk, first: str, second: str) -> tuple[RunRecord, RunRecord]:
    """The two runs that are meant. Raises ``NotFound``."""
    left, right = _runs_of(desk, first), _runs_of(desk, second)
    pairs = [
        (a, b)
        for a in left
        for b in right
        if a.id != b.id and (a.dataset, a.split, a.task, a.fingerprint) == (b.dataset, b.split, b.task, b.fingerprint)
    ]
    if pairs:
        return max(pairs, key=lambda pair: (min(int(run.id) for run in pair), sum(int(run.id) for run in pair)))
    a, b = left[0], right[0]
    if a.id == b.id:
        raise BitternError(f"“{first}” and “{second}” have one run together.", "Compare two.")
    hint = f"Measure both on the same rows: evaluate {b.model} --on {a.dataset} --split {a.split}"
    raise NotFound(f"“{first}” and “{second}” have no run on the same dataset, split and task.", hint)


def _runs_of(desk: Desk, name: str) -> list[RunRecord]:
    """The run with that number, or the runs of the model with that name, the newest first."""
    runs = desk.workspace.runs.all()
    found = [run for run in runs if run.id == name] or [run for run in runs if run.model == name]
    if found:
        return found
    if desk.workspace.models.find(name):
        raise NotFound(f"“{name}” has not been measured yet.", f"Measure it: evaluate {name} --on DATASET")
    raise NotFound.named("run or model", name, {run.model for run in runs} | {run.id for run in runs}, "`runs` lists what has been measured.")


def _told(a: RunRecord, b: RunRecord, found: Comparison) -> Result:
    from engine.evaluation.figures import figure, words

    rows = [
        [words(d.metric), figure(d.metric, d.a), figure(d.metric, d.b), figure(d.metric, d.difference, sign=True), _chance(d)]
        for d in found.differences
    ]
    names = [run.model if a.model != b.model else f"run {run.id}" for run in (a, b)]
    won = sum(1 for row in found.flipped if row["b_correct"])
    flips = f" {won} rows became right, {len(found.flipped) - won} became wrong." if found.differences and found.differences[0].p is not None else ""
    first = found.differences[0]
    summary = (
        f"{names[0]} → {names[1]} on {found.rows} rows of {a.dataset}/{a.split}: {words(first.metric)} {figure(first.metric, first.a)}"
        f" → {figure(first.metric, first.b)}.{flips}"
    )
    data = {
        "a": _as_data(a), "b": _as_data(b), "rows": found.rows, "flipped": found.flipped,
        "metrics": {
            d.metric: {"a": d.a, "b": d.b, "difference": d.difference, "low": d.low, "high": d.high, "p": d.p} for d in found.differences
        },
    }  # fmt: skip
    return Result(summary, data, Table(["metric", f"A: {names[0]}", f"B: {names[1]}", "difference", "95% interval, p"], rows))


def _chance(difference: Difference) -> str:
    from engine.evaluation.figures import figure

    if difference.low is None or difference.high is None:
        return "–"
    said = f"{figure(difference.metric, difference.low, sign=True)} to {figure(difference.metric, difference.high, sign=True)}"
    return said if difference.p is None else f"{said}, p {difference.p:.3g}"
