"""The checkpoints of a training as they lie on the disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.training import checkpoints

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on disk. ``loss`` is the held-out loss that was measured last before it, at the step ``measured``, where
    there was one."""

    step: int
    folder: Path
    loss: float | None
    bytes: int
    whole: bool
    measured: int = 0

    @property
    def says(self) -> str:
        """The held-out loss in words; that of an earlier step is not passed off as its own."""
        if self.loss is None:
            return ""
        return f"{self.loss:.4f}" if self.measured == self.step else f"{self.loss:.4f} (step {self.measured})"


def saved(root: Path) -> list[Saved]:
    """The checkpoints under ``root``, by step. Nothing is removed."""
    found = []
    for folder in sorted(root.glob("checkpoint-*"), key=checkpoints.step_of):
        if (step := checkpoints.step_of(folder)) < 0:
            continue
        try:
            history = json.loads((folder / "trainer_state.json").read_text("utf-8"))["log_history"]
        except (OSError, ValueError, KeyError):
            history = []
        losses = [(entry["eval_loss"], entry["step"]) for entry in history if "eval_loss" in entry and entry["step"] <= step]
        loss, measured = losses[-1] if losses else (None, 0)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found.append(Saved(step, folder, loss, size, checkpoints.marker(folder) is not None, measured))
    return found
