"""A training tried for a few steps: the longest batch first, as the training itself would begin. Nothing is kept."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, set_seed

from engine.devices import peak_memory, set_torch_threads
from engine.errors import ModelError
from engine.models.convert import trainable_folder
from engine.training.loop import build
from engine.training.memory import expect_training
from engine.training.order import Grouped
from engine.training.recipes import recipe
from engine.training.rescue import let_go, out_of_memory
from engine.training.spec import measured_every, steps_in_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.training.gates import Gate
    from engine.training.recipes import Recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec

TRIED = 6
"""Steps that are tried: the longest, and the first of those that follow it."""
PATIENCE = 60.0
"""Seconds after which no further step is begun, once two are done."""


@dataclass(frozen=True, slots=True)
class Flight:
    """``spec`` is the one that fits; ``seconds`` are those of each tried step, the longest batch first; ``measure`` those
    of the longest held-out batch; ``peak`` in bytes; ``least``, ``likely`` and ``most`` seconds to the end."""

    spec: TrainSpec
    rows: int
    longest: int
    steps: int
    seconds: list[float]
    measure: float
    measures: int
    peak: int
    least: float
    likely: float
    most: float
    gates: list[Gate] = field(default_factory=list)


def preflight(job: JobContext, spec: TrainSpec, look: Callable[[TrainSpec, Prepared], list[Gate]]) -> Flight:
    """Build what a training would build, and try it. ``look`` finds what the gates say. Raises ``BitternError``, ``Stopped``."""
    set_torch_threads(job.workspace.settings.threads)
    how = recipe(spec.recipe)
    job.progress(0, None, "step", "getting ready")
    folder = trainable_folder(job, job.workspace.models.get(spec.base))
    prepared = how.prepare(job, spec, folder)
    gates = look(spec, prepared)
    longest = max(map(how.length, prepared.train))
    while True:
        expect_training(job, spec, longest)
        try:
            tried, measure = _try(job, spec, how, prepared, folder)
            break
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            smaller = spec.halved()
            if smaller is None:
                raise ModelError(
                    f"Memory runs out while training {spec.base}, with one row of {longest} tokens at a time.",
                    f"Try a smaller --max-length (now {spec.max_length}), --method lora, or a smaller model.",
                ) from None
            let_go(error)
        job.log(f"Memory runs out with batches of {spec.batch_size} rows: {smaller.batch_size} are tried.", "warning")
        spec = smaller
    return _told(spec, how, prepared, tried, measure, gates)


class _Clock(TrainerCallback):  # type: ignore[misc]
    """The seconds of each step; stops when asked to, or when enough was seen."""

    def __init__(self, job: JobContext, steps: int) -> None:
        self._job, self._steps = job, steps
        self.seconds: list[float] = []
        self._first = self._began = time.monotonic()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        moment = time.monotonic()
        self.seconds.append(moment - self._began)
        self._job.progress(len(self.seconds), self._steps, "step", "trying")
        if self._job.token.asked or (len(self.seconds) > 1 and moment - self._first > PATIENCE):
            control.should_training_stop = True


def _try(job: JobContext, spec: TrainSpec, how: Recipe, prepared: Prepared, folder: Path) -> tuple[list[float], float]:
    """The seconds of each tried step, and of the longest held-out batch."""
    job.progress(0, None, "step", "loading the model")
    set_seed(spec.seed)
    steps = min(TRIED, steps_in_all(spec, len(prepared.train)))
    model = how.model(spec, folder, prepared)
    trainer = build(spec.model_copy(update={"max_steps": steps}), how, prepared, model, job.folder / "checkpoints", resumed=True)
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    clock = _Clock(job, steps)
    trainer.add_callback(clock)
    trainer.train()
    job.check()
    job.progress(0, None, "batch", "measuring the longest held-out batch")
    held = sorted(prepared.held_out, key=lambda row: -how.length(row))[: spec.rows_measured]
    began = time.monotonic()
    trainer.evaluate(held)
    return clock.seconds, time.monotonic() - began


def _told(spec: TrainSpec, how: Recipe, prepared: Prepared, tried: list[float], measure: float, gates: list[Gate]) -> Flight:
    """From what was measured to the end: steps and measures cost by the tokens they read, padding included."""
    total = steps_in_all(spec, len(prepared.train))
    lengths = [how.length(row) for row in prepared.train]
    order = list(Grouped(lengths, spec.rows_a_step, spec.seed))
    groups = [[lengths[row] for row in order[at : at + spec.rows_a_step]] for at in range(0, len(order), spec.rows_a_step)]
    sizes = [max(group) * len(group) for group in groups]
    # The first step also makes the optimiser's state: it says what the worst costs, and little about the usual.
    rates = [seconds / size for seconds, size in zip(tried, sizes, strict=False)][1:] or [tried[0] / sizes[0]]
    measures = 1 + -(-total // measured_every(spec, len(prepared.train)))
    held = [how.length(row) for row in prepared.held_out]
    batch = sum(sorted(held)[-spec.rows_measured :])
    measuring = measures * measure * sum(held) / max(1, batch)
    every = total * mean(sizes)
    least, likely, most = (every * rate + measuring for rate in (min(rates), median(rates), max(rates)))
    return Flight(spec, len(lengths), max(lengths), total, tried, measure, measures, peak(), least, likely, most, gates)


def peak() -> int:
    """The most memory so far, in bytes: of the GPU where one is used, else of this process."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_memory()
