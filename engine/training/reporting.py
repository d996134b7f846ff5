"""What the Trainer says, as a job's events; and the job's wishes (pause, cancel), as the Trainer's."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from engine.devices import training_memory
from engine.training import checkpoints
from engine.training.memory import GIB
from engine.training.outcome import MEASURES

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from engine.jobs.context import JobContext

SAVE_SECONDS = 45.0
"""At most so much work is lost to a kill when ``save_steps`` was left open."""

SHOWN = {name: name for name in ("loss", "grad_norm", "learning_rate", *MEASURES)}
"""The Trainer's figures that become metrics."""


class Report(TrainerCallback):  # type: ignore[misc]
    """``before`` is the seconds of training that earlier attempts have behind them; ``timed`` saves by the clock."""

    def __init__(self, job: JobContext, before: float, *, timed: bool) -> None:
        self._job = job
        self._before = before
        self._timed = timed
        self._began = self._saved = self._step_began = time.monotonic()
        self._tokens = 0
        self._measured = 0

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all attempts."""
        return self._before + time.monotonic() - self._began

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._began = self._saved = time.monotonic()
        self._tokens = state.num_input_tokens_seen
        self._job.progress(state.global_step, state.max_steps, "step")

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        moment = time.monotonic()
        tokens, self._tokens = state.num_input_tokens_seen - self._tokens, state.num_input_tokens_seen
        self._job.metric(state.global_step, "tokens_per_second", tokens / max(moment - self._step_began, 1e-9))
        held, most = training_memory()
        self._job.metric(state.global_step, "memory_GiB", held / GIB)
        self._job.metric(state.global_step, "peak_memory_GiB", most / GIB)
        self._job.progress(state.global_step, state.max_steps, "step")
        if self._timed and moment - self._saved > SAVE_SECONDS:
            control.should_save = True
        if self._job.token.asked:
            control.should_save = control.should_training_stop = True

    def on_prediction_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._job.check()  # Nothing is lost yet; later a stop waits for the step's end and its checkpoint.
        self._measured += 1
        batches = len(kwargs["eval_dataloader"])
        self._job.progress(self._measured, batches, "batch", "measuring the held-out loss")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._measured = 0
        self._job.progress(state.global_step, state.max_steps, "step")

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        for name, shown in SHOWN.items():
            value = (logs or {}).get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                self._job.metric(state.global_step, shown, float(value))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        checkpoints.seal(folder, self.seconds)
        self._saved = time.monotonic()
        self._job.checkpoint(state.global_step, folder)
