"""What a training leaves: a model in its place, its record, and a few words about it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.paths import replace_folder
from engine.results import Result, Table
from engine.store.models import ModelRecord, free_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.training.loop import Trained
    from engine.training.recipes import Recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec

MEASURES = {
    "eval_loss": "held-out loss", "eval_margin": "held-out margin", "eval_accuracy": "held-out accuracy", "eval_entity_f1": "held-out entity F1", "eval_tag_accuracy": "held-out right tags",
    "eval_micro_f1": "held-out micro F1", "eval_subset_accuracy": "held-out rows all right", "eval_spearman": "held-out rank correlation",
    "eval_mae": "held-out mean error",
}  # fmt: skip
"""What is measured on the held-out rows before and after, by the Trainer's names."""


def put_in_place(
    job: JobContext, spec: TrainSpec, how: Recipe, prepared: Prepared, write: Callable[[Path], object], state: Any, seconds: float,
    facts: dict[str, Any] | None = None,
) -> ModelRecord:  # fmt: skip
    """Have the trained model written, move it into the workspace at once, and record it."""
    workspace = job.workspace
    job.progress(0, None, "step", "saving the model")
    name = _own_name(job, spec.name)
    final = workspace.paths.models / name
    temporary = workspace.paths.models / f".training-{name}-{job.id}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        write(temporary)
        replace_folder(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    dataset = dataset_of(job, spec.dataset, begun=True)
    before, after = first_and_last(state.log_history, "eval_loss")
    record = ModelRecord(
        name=name,
        kind=how.kind(spec),
        source=f"trained from {spec.base} on {spec.dataset}",
        bytes=sum(file.stat().st_size for file in final.rglob("*") if file.is_file()),
        folder=str(final),
        base=spec.base,
        facts={
            "recipe": spec.recipe, "method": spec.method, **_method_facts(spec),
            "steps": state.global_step, "epochs": round(float(state.epoch or 0), 3), "learning_rate": spec.learning_rate, "seed": spec.seed,
            "eval_loss_before": before, "eval_loss_after": after, "trained_on": f"{spec.dataset}/{spec.split}",
            "fingerprint": dataset.fingerprint, "rows": len(prepared.train), "seconds": round(seconds, 1), "job": job.id, **prepared.facts, **(facts or {}),
        },
    )  # fmt: skip
    workspace.models.put(record)
    job.changed("models", record.name)
    return record


def _own_name(job: JobContext, name: str) -> str:
    """``name``, or ``name-2``, … where another job has left a model of that name since this one began: it is not replaced."""
    models = job.workspace.models
    found = models.find(name)
    if found is None or found.facts.get("job") == job.id:
        return name
    free = free_name(name, set(models.names()))
    job.log(f"There is a model called “{name}” by now: this one is called “{free}”.", "warning")
    return free


def _method_facts(spec: TrainSpec) -> dict[str, Any]:
    """What a record says of the method besides its name."""
    init = {"init": spec.init} if spec.init != "default" else {}
    quantised = {"quantise": spec.quantise} if spec.quantise != "none" else {}
    return {**({"rank": spec.rank, "alpha": spec.alpha, **init} if spec.is_lora else {}), **quantised}


def tell(spec: TrainSpec, record: ModelRecord, trained: Trained) -> Result:
    """The result that every face shows."""
    state, seconds = trained.state, trained.seconds
    history = state.log_history
    pairs = {name: first_and_last(history, name) for name in MEASURES if any(name in entry for entry in history)}
    said = ", ".join(f"{MEASURES[name]} {_figure(before)} → {_figure(after)}" for name, (before, after) in pairs.items())
    table = Table(["measure", "before", "after"], [[MEASURES[name], _figure(before), _figure(after)] for name, (before, after) in pairs.items()])
    data = {
        "model": record.name, "kind": record.kind, "base": spec.base, "dataset": spec.dataset, "recipe": spec.recipe, "steps": state.global_step,
        "rows": record.facts["rows"], "seconds": round(seconds, 1), "reached": trained.reached, "ended": trained.ended,
        **{f"{name}_{when}": value for name, pair in pairs.items() for when, value in zip(("before", "after"), pair, strict=True)},
        "losses": [[entry["step"], entry["loss"]] for entry in history if "loss" in entry],
        "eval_losses": [[entry["step"], entry["eval_loss"]] for entry in history if "eval_loss" in entry],
    }  # fmt: skip
    return Result(f"{record.name}: {said} {_how_far(spec, trained)}", data, table, opens=f"model:{record.name}")


def _how_far(spec: TrainSpec, trained: Trained) -> str:
    """How many steps it took, which of them is kept, and what ended it where that was not the last one."""
    state, reached = trained.state, trained.reached
    kept = f"in {reached} steps" if reached == state.global_step else f"at step {state.global_step}, the best of {reached}"
    why = {"patience": f"no gain in {spec.patience} measures", "finish": "on request"}.get(trained.ended, "")
    ended = f"; stopped before step {state.max_steps}: {why}" if why else ""
    return f"{kept} ({duration(trained.seconds)}){ended}"


def first_and_last(history: list[dict[str, Any]], name: str) -> tuple[float | None, float | None]:
    """A figure of the Trainer's log as it was first and as it is last; ``None`` when it was never measured."""
    values = [entry[name] for entry in history if name in entry]
    return (float(values[0]), float(values[-1])) if values else (None, None)


def duration(seconds: float) -> str:
    """Seconds in words: ``42 s``, ``3 min``, ``1 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _figure(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"
