"""Several jobs' lines on one chart, and the cursor that reads them."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
INKS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167))
"""Okabe and Ito's colours, which the colour-blind tell apart; letters tell the lines apart without any."""
LETTERS = "ABCD"


@dataclass(slots=True)
class CurvesView:
    """``data`` is what ``curves`` answered. ``step`` is where the cursor is, ``None`` before it was moved."""

    jobs: list[str]
    metric: str = "loss"
    smooth: float = 0.0
    log: bool = False
    step: int | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> CurvesView:
        """From a screen's name: ``3,5;loss;0.6;1``; what is left out is as it is at first."""
        jobs, metric, smooth, log = [*name.split(";"), "", "", ""][:4]
        return cls(jobs.split(","), metric or "loss", float(smooth or 0), log == "1")

    def values(self) -> dict[str, Any]:
        """The Command that asks for the lines."""
        return {"job": self.jobs[0], "more": " ".join(self.jobs[1:]), "metric": self.metric, "smooth": self.smooth, "log": self.log}

    def lines(self) -> list[tuple[str, list[tuple[int, float]]]]:
        """Letter and points of each job; the logarithm of the values where that is wanted."""
        found = []
        for letter, job in zip(LETTERS, self.data.get("jobs", []), strict=False):
            found.append((letter, [(step, math.log10(value) if self.log else value) for step, value in job["series"]]))
        return found

    def steps(self) -> list[int]:
        return sorted({step for job in self.data.get("jobs", []) for step, _ in job["series"]})

    def move(self, by: int) -> None:
        """The cursor ``by`` steps on, from the end where it was nowhere yet."""
        steps = self.steps()
        if steps:
            at = len(steps) - 1 if self.step is None else bisect_left(steps, self.step)
            self.step = steps[max(0, min(len(steps) - 1, at + by))]

    def point(self, part: float) -> None:
        """The cursor to the step nearest to ``part`` (0 to 1) of the way across."""
        if steps := self.steps():
            wanted = steps[0] + part * (steps[-1] - steps[0])
            self.step = min(steps, key=lambda step: abs(step - wanted))

    def reading(self) -> list[tuple[str, str, str]]:
        """Letter, job and the value at the cursor, or the last one; the nearest step at or before the cursor."""
        found = []
        for letter, job in zip(LETTERS, self.data.get("jobs", []), strict=False):
            seen = [value for step, value in job["series"] if self.step is None or step <= self.step]
            over = self.step is not None and job["series"] and self.step > job["series"][-1][0]
            found.append((letter, f"{job['job']} {job['title']}", "" if over or not seen else f"{seen[-1]:.4g}"))
        return found

    def next_metric(self) -> None:
        if names := self.data.get("metrics"):
            self.metric = names[(names.index(self.metric) + 1) % len(names)] if self.metric in names else names[0]

    def next_smoothing(self) -> None:
        self.smooth = next((smooth for smooth in SMOOTHINGS if smooth > self.smooth), 0.0)
