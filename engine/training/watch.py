"""What ends a training before its last step: a loss that runs away, no more gain on the held-out rows, or a person."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

import json
import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from transformers import TrainerCallback

from engine.errors import JobError, Repair
from engine.training.checkpoints import newest, step_of
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.training.spec import TrainSpec

WINDOW = 50
"""Steps whose median is the loss that is usual."""
ENOUGH = 10
"""Losses that are needed before anything is called usual."""
FACTOR = 3.0
LEAST = 1.0
"""A loss runs away when it is above ``FACTOR`` times the usual one and at least ``LEAST`` nats above it, …"""
STREAK = 5
"""… so many steps on end."""
WISH = "wish.json"
"""What a person asks of a running training, in its job's folder: ``{"wish": "checkpoint" | "finish"}``."""

Ended = Literal["", "patience", "finish", "behind"]


class Watch(TrainerCallback):  # type: ignore[misc]
    """``wrong`` says why the training had to stop; ``ended`` why it may. ``keep``: each best measure is saved.

    ``behind`` is told each measure's step and held-out loss, those before a resume too, and answers whether to give up.
    """

    def __init__(self, job: JobContext, spec: TrainSpec, *, keep: bool, behind: Callable[[int, float], bool] | None = None) -> None:
        self._job, self._spec, self._keep, self._behind = job, spec, keep, behind
        self._usual: deque[float] = deque(maxlen=WINDOW)
        self._streak = 0
        self.wrong = ""
        self.ended: Ended = ""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        for entry in state.log_history:
            self._begin(entry.get("eval_loss", math.nan), entry["step"])
            if "loss" in entry:
                self._usual.append(entry["loss"])
            if self._behind and entry["step"] and "eval_loss" in entry:
                self._behind(entry["step"], entry["eval_loss"])

    def _begin(self, loss: float, step: int) -> None:
        """The held-out loss before the first step is what is usual, until there are losses of steps."""
        if step == 0 and math.isfinite(loss):
            self._usual.extend([loss] * ENOUGH)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        file = self._job.folder / WISH
        if not file.is_file():
            return
        if json.loads(file.read_text("utf-8"))["wish"] == "checkpoint":
            file.unlink()
            control.should_save = True
        else:
            # The wish stays until the job is over: a job that is killed now must not forget it.
            self.ended = "finish"
            control.should_evaluate = control.should_training_stop = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        loss, norm = (logs or {}).get("loss"), (logs or {}).get("grad_norm")
        if loss is None:
            return
        if not math.isfinite(loss):
            self.wrong = f"The loss is not a number at step {state.global_step}"
        elif norm is not None and not math.isfinite(norm):
            self.wrong = f"The gradient is not finite at step {state.global_step}"
        elif len(self._usual) >= ENOUGH and loss > max(FACTOR * (usual := median(self._usual)), usual + LEAST):
            self._streak += 1
            if self._streak == STREAK:
                self.wrong = f"The loss ran away: {loss:.3g} at step {state.global_step}, for {STREAK} steps far above the usual {usual:.3g}"
        else:
            self._streak = 0
            self._usual.append(loss)
        if self.wrong:
            control.should_save = control.should_evaluate = False
            control.should_training_stop = True
        elif self._streak and not self._job.token.asked:
            control.should_save = False  # The last good checkpoint must not be pushed out by doubtful ones.

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        loss = (metrics or {}).get("eval_loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            self.wrong = f"The held-out loss is not a number at step {state.global_step}"
            control.should_save, control.should_training_stop = False, True
            return
        if state.global_step == 0:
            self._begin(loss, 0)
            return
        if self._behind and self._behind(state.global_step, loss):
            self.ended = self.ended or "behind"
            control.should_training_stop = True
        if state.best_metric is None or loss < state.best_metric:
            state.best_metric, state.best_global_step = loss, state.global_step
            control.should_save = control.should_save or (self._keep and not self._streak)
        elif self._spec.patience and self._since_best(state) >= self._spec.patience:
            self.ended = self.ended or "patience"
            control.should_training_stop = True

    def _since_best(self, state: TrainerState) -> int:
        return sum("eval_loss" in entry and entry["step"] > (state.best_global_step or 0) for entry in state.log_history)

    def failed(self) -> JobError:
        """What went wrong, what to change, and from where the training can go on."""
        last = newest(self._job.folder / "checkpoints")
        line = f"resume {self._job.id} --learning-rate {self._spec.learning_rate / 4:.1g}"
        kept = f"The checkpoint of step {step_of(last)} is kept: `{line}` goes on from there" if last else f"`{line}` begins again"
        look = f"mask {self._spec.dataset} --model {self._spec.base}" if RECIPES[self._spec.recipe].adapter else f"show {self._spec.dataset}"
        way = (
            f"{kept}, more gently than with {self._spec.learning_rate:g}. More rows a step (--grad-accumulation) make it steadier too;"
            f" where that does not help, look at the rows: `{look}`"
        )
        return JobError(f"{self.wrong}.", way, [Repair("go on more gently" if last else "begin again, more gently", line)])
