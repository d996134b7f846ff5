"""The memory of a training: expected from its spec, refused where it can't fit, and remembered for the next time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.devices import gpu_memory, memory
from engine.errors import BitternError, ModelError
from engine.models.estimate import of_record, precision
from engine.models.fit import training, verdict
from engine.models.learned import correction, expect
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.models.fit import Fit
    from engine.store.workspace import Workspace
    from engine.training.spec import TrainSpec

GIB = 2**30


def fit_of(workspace: Workspace, spec: TrainSpec, longest: int | None = None) -> Fit:
    """The memory of a training; ``longest`` is the longest row in tokens where the rows are known.

    Raises ``BitternError`` or ``ValueError`` for a model whose size is not known.
    """
    shape, sequences = of_record(workspace, workspace.models.get(spec.base), weights=True).shape, RECIPES[spec.recipe].sequences
    length = min(spec.max_length, longest or spec.max_length)
    # What later versions of a spec may say, and this one leaves to its recipe.
    more: dict[str, Any] = {name: value for name in ("optimizer", "checkpointing") if (value := getattr(spec, name, None)) not in (None, "", "auto")}
    found = training(
        shape, method=spec.method, batch_size=spec.batch_size * sequences, max_length=length, rank=spec.rank, precision=precision(), frozen=spec.frozen,
        virtual_tokens=spec.virtual_tokens, dropout=0.0 if spec.moves_base else spec.dropout, **more,
    )  # fmt: skip
    if spec.refers and spec.method == "full":  # The reference is a copy.
        return replace(found, terms={**found.terms, "weights": 2 * found.terms["weights"]})
    return found


def expect_training(job: JobContext, spec: TrainSpec, longest: int) -> None:
    """Write down what the training is going to need, and say so where it will be tight. Never an error."""
    with suppress(BitternError, ValueError):
        need, free = expect(job.workspace, job.id, spec.base, fit_of(job.workspace, spec, longest)), room()
        said = verdict(need, free)
        job.log(f"Memory: about {need / GIB:.1f} GiB expected, {free / GIB:.1f} GiB free ({said}).", "info" if said == "fits" else "warning")


def check_memory(workspace: Workspace, spec: TrainSpec) -> None:
    """Raises ``ModelError`` for a training that can't fit, were its batch ever so small."""
    try:
        fit = fit_of(workspace, spec)
    except (BitternError, ValueError):
        return  # What is wrong with the model is said by whoever loads it.
    need = correction(workspace, fit.purpose, fit.terms["runtime"]).at(fit.total - fit.terms["runtime"] - fit.terms["activations"])
    if need > (free := room()):
        ways = "--method lora, or a smaller model" if spec.method == "full" else "a smaller model"
        raise ModelError(
            f"Training {spec.base} needs at least {need / GIB:.1f} GiB for its weights and their optimiser; {free / GIB:.1f} GiB are free.",
            f"Try {ways}; `unload` frees what is loaded; --force starts all the same. `fit {spec.base} --train` shows the terms.",
        )


def room() -> int:
    """Free bytes of where a training would run: the GPU that has most, else the machine's memory."""
    return max((gpu.free for gpu in gpu_memory()), default=0) or memory().free
