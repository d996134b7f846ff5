"""A task of lm-evaluation-harness as a run on the list. For a job's process."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from engine.devices import bf16_pays, set_torch_threads, torch_device
from engine.evaluation.harness import OurLM, measured
from engine.evaluation.harness_task import read_task
from engine.evaluation.run import tell
from engine.models.convert import trainable_folder
from engine.models.load import load_causal, resolve
from engine.paths import write_atomic
from engine.store.runs import RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.results import Result


def run_task(job: JobContext, name: str, file: Path, rows: int, batch_size: int) -> Result:
    """Measure, or go on with what was not asked yet. Raises ``BitternError``; ``Stopped``."""
    workspace = job.workspace
    for done in workspace.runs.all():
        if done.job == job.id:  # Killed after everything was in place.
            return tell(done)
    config = read_task(file)
    set_torch_threads(workspace.settings.threads)
    job.progress(0, None, "row", "loading the model")
    trainable_folder(job, workspace.models.get(name))
    folder, adapter = resolve(workspace, workspace.models.get(name))
    model, tokenizer = load_causal(folder, adapter, dtype="bfloat16" if bf16_pays() else "float32")
    asked = job.folder / "asked.jsonl"
    metrics, predictions = measured(OurLM(model.to(torch_device()), tokenizer, batch_size, job, asked), config, rows)
    final = workspace.paths.runs / f"{job.id}.jsonl"
    write_atomic(final, "".join(json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions))
    number = workspace.runs.add(
        RunRecord(
            job=job.id, model=name, dataset=str(config["task"]), split="harness", fingerprint=_fingerprint(config), task="harness",
            rows=len(predictions), metrics=metrics, predictions=str(final),
        )
    )  # fmt: skip
    asked.unlink(missing_ok=True)
    job.changed("runs", number)
    return tell(workspace.runs.get(number))


def _fingerprint(config: dict[str, object]) -> str:
    """Of the task, so that runs of another wording are not compared."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]
