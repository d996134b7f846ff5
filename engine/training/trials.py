"""What a sweep keeps of its trials."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

FILE = "trials.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial: ``state`` is done, halved (stopped early, behind the others) or failed."""

    number: int
    settings: dict[str, Any]
    state: Literal["done", "halved", "failed"]
    loss: float | None
    step: int
    seconds: float
    measures: dict[int, float] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)
    """What optuna's pruner wrote down about it."""
    why: str = ""


def kept(folder: Path) -> list[Trial]:
    """The finished trials of a sweep's folder."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return []
    return [Trial(**{**one, "measures": {int(step): loss for step, loss in one["measures"].items()}}) for one in found]


def best(trials: list[Trial]) -> Trial | None:
    """The trial with the lowest held-out loss, of those that came to their end."""
    ended = [trial for trial in trials if trial.state == "done" and trial.loss is not None]
    return min(ended, key=lambda trial: trial.loss or 0.0, default=None)


def ranked(trials: list[Trial]) -> list[Trial]:
    """Best first; what was stopped and what failed after those that ended."""
    return sorted(trials, key=lambda trial: (("done", "halved", "failed").index(trial.state), trial.loss or 0.0))
