"""When memory runs out: keep the step that is done, let go of the model, and say what the last resort is."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

import gc
import logging
import random
import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback

from engine.training import checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

log = logging.getLogger(__name__)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is that of an allocator: Python's, PyTorch's on a CPU, or a GPU's."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def let_go(error: BaseException) -> None:
    """Free what the frames of an error hold: the model, its gradients and its optimiser."""
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Rescue(TrainerCallback):  # type: ignore[misc]
    """Knows whether weights and optimiser are those of a finished step, and what random state that step left."""

    def __init__(self) -> None:
        self._begun: Callable[[], None] | None = None
        self._updating = False

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._begun = _random_state()

    def on_pre_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._updating = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._updating, self._begun = False, None

    def keep(self, trainer: Trainer, seconds: float) -> None:
        """Write a checkpoint of the last finished step, if what is in memory is that step. Never an error."""
        step = trainer.state.global_step
        folder = Path(str(trainer.args.output_dir)) / f"checkpoint-{step}"
        if step == 0 or self._updating or checkpoints.marker(folder):
            return
        try:
            trainer.model.zero_grad(set_to_none=True)
            if self._begun:
                self._begun()
            trainer._save_checkpoint(trainer.model, trial=None)
            checkpoints.seal(folder, seconds)
        except (OSError, MemoryError, RuntimeError):
            log.exception("the step in memory could not be kept")
            shutil.rmtree(folder, ignore_errors=True)


def _random_state() -> Callable[[], None]:
    """What brings the random generators back to this moment."""
    ours, numbers, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None

    def restore() -> None:
        random.setstate(ours)
        np.random.set_state(numbers)
        torch.set_rng_state(tensors)
        if gpu is not None:
            torch.cuda.set_rng_state_all(gpu)

    return restore
