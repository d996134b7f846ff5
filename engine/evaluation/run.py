"""An evaluation: rows through a model in batches, every prediction kept, a run on the list."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.data.rows import load_split
from engine.devices import set_torch_threads
from engine.errors import DataError
from engine.evaluation import kept
from engine.evaluation.figures import between, figure, headline, most_confused, single, words
from engine.evaluation.tasks import Asked, make
from engine.models.convert import trainable_folder
from engine.models.learned import expect_inference
from engine.models.load import resolve
from engine.paths import write_atomic
from engine.results import Result, Table
from engine.store.runs import RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.spec import EvalSpec
    from engine.evaluation.tasks import Task
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord


def evaluate(job: JobContext, spec: EvalSpec, part: str = "") -> Result:
    """Measure, or go on after the last prediction that is in the job's folder. ``part`` tells the evaluations of one job
    apart. Raises ``BitternError``; ``Stopped``."""
    workspace = job.workspace
    for done in workspace.runs.all():
        if done.job == job.id and done.model == spec.model:  # Killed after everything was in place.
            return tell(done)
    ending = f"-{part}" if part else ""
    file = job.folder / f"predictions{ending}.jsonl"
    # Another part of the job may have measured already: both must see the same rows.
    begun = any(done.job == job.id for done in workspace.runs.all())
    dataset = dataset_of(job, spec.dataset, begun=begun, kept=begun or file.is_file())
    rows = load_split(dataset, spec.split)
    task = _task(job, spec, dataset, rows)
    chosen = _choose(job, spec, rows, task)
    predictions = _predict(job, spec, rows, task, chosen, file)
    metrics = task.measure(predictions)
    final = workspace.paths.runs / f"{job.id}{ending}.jsonl"
    predictions.sort(key=lambda prediction: int(prediction["row"]))
    write_atomic(final, "".join(json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions))
    record = RunRecord(
        job=job.id, model=spec.model, dataset=spec.dataset, split=spec.split, fingerprint=dataset.fingerprint, task=spec.task,
        rows=len(predictions), metrics=metrics, predictions=str(final),
    )  # fmt: skip
    number = workspace.runs.add(record)
    file.unlink(missing_ok=True)
    job.changed("runs", number)
    return tell(workspace.runs.get(number))


def tell(record: RunRecord) -> Result:
    """The result that every face shows."""
    figures = single(record.metrics)
    data = {
        "run": record.id, "model": record.model, "dataset": record.dataset, "split": record.split, "task": record.task, "rows": record.rows,
        "metrics": record.metrics, "predictions": record.predictions, "most_confused": most_confused(record.metrics),
        "backend": record.metrics.get("backend", ""),
    }  # fmt: skip
    table = Table(
        ["metric", "value", "95 % interval"], [[words(name), figure(name, value), between(record.metrics, name)] for name, value in figures.items()]
    )
    where = f"{record.dataset}/{record.split}"
    by = f" ({data['backend']})" if data["backend"] else ""
    return Result(f"{record.model} on {record.rows} rows of {where}: {headline(record.metrics)}{by}", data, table, opens=f"run:{record.id}")


def _task(job: JobContext, spec: EvalSpec, dataset: DatasetRecord, rows: Any) -> Task:
    if job.workspace.models.get(spec.model).kind == "endpoint":
        return make(Asked(job, spec, dataset, rows, Path(), None))
    set_torch_threads(job.workspace.settings.threads)
    job.progress(0, None, "row", "loading the model")
    expect_inference(job, spec.model, spec.batch_size)
    trainable_folder(job, job.workspace.models.get(spec.model))
    # Read again: a conversion has put the folder into the record.
    folder, adapter = resolve(job.workspace, job.workspace.models.get(spec.model))
    return make(Asked(job, spec, dataset, rows, folder, adapter))


def _choose(job: JobContext, spec: EvalSpec, rows: Any, task: Task) -> list[int]:
    """Row numbers, longest row first, so that a batch that does not fit in memory fails at once. The same every time."""
    total = len(rows)
    wanted = list(range(total))
    if spec.rows and spec.rows < total:
        wanted = sorted(random.Random(spec.seed).sample(wanted, spec.rows))
    usable = [number for number in wanted if task.usable(rows[number])]
    if not usable:
        raise DataError(f"No row of “{spec.dataset}/{spec.split}” has an answer to measure against.", f"Look at it: show {spec.dataset}")
    if len(usable) < len(wanted):
        job.log(f"{len(wanted) - len(usable)} rows were left out: they have no text or no answer.", "warning")
    return sorted(usable, key=lambda number: (-task.length(rows[number]), number))


def _predict(job: JobContext, spec: EvalSpec, rows: Any, task: Task, chosen: Sequence[int], file: Path) -> list[dict[str, Any]]:
    predictions = kept.mend(file)
    if [prediction["row"] for prediction in predictions] != list(chosen[: len(predictions)]):
        job.log("The dataset has changed since this evaluation began: it starts again.", "warning")
        file.unlink()
        predictions = []
    if predictions:
        job.log(f"Going on after {len(predictions)} predictions.")
    job.progress(len(predictions), len(chosen), "row")
    for start in range(len(predictions), len(chosen), spec.batch_size):
        job.check()
        numbers = chosen[start : start + spec.batch_size]
        batch: list[dict[str, Any]] = []
        try:
            for number, prediction in zip(numbers, task.predict([rows[number] for number in numbers], job.token), strict=True):
                job.check()
                batch.append({"row": number, "address": f"{spec.dataset}/{spec.split}/{number}", **prediction})
        finally:  # What a server has answered before it failed is not asked again.
            if batch:
                kept.append(file, batch)
        predictions += batch
        job.progress(len(predictions), len(chosen), "row")
        right = [prediction["correct"] for prediction in predictions if "correct" in prediction]
        if right:
            job.metric(len(predictions), "correct", sum(right) / len(right))
    return predictions
