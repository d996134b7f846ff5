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
    """A checkpoint on disk. ``loss`` is the held-out loss that was measured last before it, where there was one."""

    step: int
    folder: Path
    loss: float | None
    bytes: int
    whole: bool


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
        losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry and entry["step"] <= step]
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found.append(Saved(step, folder, losses[-1] if losses else None, size, checkpoints.marker(folder) is not None))
    return found
