"""The learning rate of a training that goes on with another one, or with more steps."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments


class Rate(TrainerCallback):  # type: ignore[misc]
    """Puts the peak rate of the spec in the place of the checkpoint's, at this step's point of the schedule.

    The schedule's shape comes from the arguments of this attempt, its place from the checkpoint: a training goes on as
    if it had been asked for so from the start. Where nothing was changed every number stays as it was, to the bit.
    """

    def __init__(self, peak: float) -> None:
        self._peak = peak

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        scheduler, optimizer = kwargs["lr_scheduler"], kwargs["optimizer"]
        scheduler.base_lrs = [self._peak] * len(scheduler.base_lrs)
        now = [base * shape(scheduler.last_epoch) for base, shape in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
        for group, rate in zip(optimizer.param_groups, now, strict=True):
            group["initial_lr"], group["lr"] = self._peak, rate
        scheduler._last_lr = now
