"""A training run again for its losses alone: nothing of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices import set_torch_threads
from engine.models.convert import trainable_folder
from engine.training.loop import train_in_memory
from engine.training.recipes import recipe

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.training.spec import TrainSpec


def losses(job: JobContext, spec: TrainSpec) -> tuple[list[list[float]], list[list[float]]]:
    """``[step, loss]`` of every step and of every measure. Raises ``BitternError``; ``Stopped`` after a checkpoint."""
    set_torch_threads(job.workspace.settings.threads)
    how = recipe(spec.recipe)
    job.progress(0, None, "step", "getting ready")
    folder = trainable_folder(job, job.workspace.models.get(spec.base))
    history = train_in_memory(job, spec, how, how.prepare(job, spec, folder), folder).state.log_history
    told = [[[entry["step"], entry[name]] for entry in history if name in entry] for name in ("loss", "eval_loss")]
    return told[0], told[1]
