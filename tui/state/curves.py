"""Several jobs' lines on one chart, the part of it that is looked at, and the cursor that reads them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from tui.state.plot import LETTERS, Line, Plot, clock, plot

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
BEST_LOW = ("loss", "mae")
BEST_HIGH = ("accuracy", "f1", "margin", "spearman", "tag_accuracy")
"""What of a metric's name says that its lowest, or its highest value is the best."""


@dataclass(slots=True)
class CurvesView:
    """``data`` is what ``curves`` answered. ``at`` is where the cursor is, a step or a second; ``None`` before it was moved.
    ``start`` and ``end`` are what is looked at of the whole, ``None`` for all of it."""

    jobs: list[str]
    metric: str = "loss"
    smooth: float = 0.0
    log: bool = False
    by: str = "step"
    start: float | None = None
    end: float | None = None
    at: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    places: list[float] = field(default_factory=list)
    whole: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, name: str) -> CurvesView:
        """From a screen's name: ``3,5;loss;0.6;1;time;10;60``; what is left out is as it is at first."""
        jobs, metric, smooth, log, by, start, end = [*name.split(";"), *[""] * 6][:7]
        first, last = (float(value) if value else None for value in (start, end))
        return cls(jobs.split(","), metric or "loss", float(smooth or 0), log == "1", by or "step", first, last)

    def values(self) -> dict[str, Any]:
        """The Command that asks for the lines."""
        return {
            "job": self.jobs[0], "more": " ".join(self.jobs[1:]), "metric": self.metric, "smooth": self.smooth, "log": self.log, "by": self.by,
            "start": self.start, "end": self.end,
        }  # fmt: skip

    def take(self, data: dict[str, Any]) -> None:
        """Show what ``curves`` answered."""
        self.data, self.metric = data, data["metric"]
        self.places = sorted({place for job in data["jobs"] for place, _ in job["series"]})
        if self.places and (self.whole == (0.0, 0.0) or (self.start is None and self.end is None)):
            self.whole = self.places[0], self.places[-1]

    @property
    def running(self) -> bool:
        return any(job["state"] == "running" for job in self.data.get("jobs", []))

    def draw(self, width: int, height: int) -> Plot:
        """The chart, with the best value of each line pointed out where it is known what is best."""
        best = self._best()
        lines = [
            Line(job["series"], letter, job[best] if best and len(job["series"]) > 1 else None)
            for letter, job in zip(LETTERS, self.data.get("jobs", []), strict=False)
        ]
        return plot(lines, width, height, log=self.log, seconds=self.by == "time")

    def _best(self) -> str:
        """``lowest``, ``highest``, or nothing where neither is better."""
        if any(name in self.metric for name in BEST_HIGH):
            return "highest"
        return "lowest" if any(name in self.metric for name in BEST_LOW) else ""

    # -- the cursor --------------------------------------------------------------------------------------------

    def move(self, by: int) -> bool:
        """The cursor ``by`` places on, from the end where it was nowhere yet. Returns whether what is looked at moved along,
        and must be read again."""
        if not self.places:
            return False
        at = len(self.places) - 1 if self.at is None else bisect_left(self.places, self.at)
        self.at = self.places[max(0, min(len(self.places) - 1, at + by))]
        return (self.start, self.end) != (None, None) and not 0 <= at + by < len(self.places) and self._pan(by)

    def point(self, part: float) -> None:
        """The cursor to the place nearest to ``part`` (0 to 1) of the way across."""
        if places := self.places:
            wanted = places[0] + part * (places[-1] - places[0])
            after = bisect_left(places, wanted)
            self.at = min(places[max(0, after - 1) : after + 1], key=lambda place: abs(place - wanted))

    def place(self) -> str:
        """Where the cursor is, in words."""
        if self.at is None:
            return "last"
        return clock(self.at) if self.by == "time" else f"step {self.at:,.0f}"

    def reading(self) -> list[tuple[str, str, str, str]]:
        """Letter, job, the value at the cursor or the last one, and the best one; the nearest place at or before the cursor."""
        found, best = [], self._best()
        for letter, job in zip(LETTERS, self.data.get("jobs", []), strict=False):
            line = job["series"]
            last = bisect_right(line, self.at, key=lambda point: point[0]) if self.at is not None else len(line)
            over = not last or (self.at is not None and self.at > line[-1][0])
            extreme = job[best] if best else None
            told = f"{best} {extreme[1]:.4g} at {clock(extreme[0]) if self.by == 'time' else f'{extreme[0]:,.0f}'}" if extreme else ""
            found.append((letter, f"{job['job']} {job['title']}", "" if over else f"{line[last - 1][1]:.4g}", told))
        return found

    # -- what is looked at -------------------------------------------------------------------------------------

    def next_metric(self, by: int = 1) -> None:
        if names := self.data.get("metrics"):
            self.metric = names[(names.index(self.metric) + by) % len(names)] if self.metric in names else names[0]

    def next_smoothing(self) -> None:
        self.smooth = next((smooth for smooth in SMOOTHINGS if smooth > self.smooth), 0.0)

    def turn(self) -> None:
        """By time instead of by step, or back; all of it again."""
        self.by = "step" if self.by == "time" else "time"
        self.start = self.end = self.at = None

    def zoom(self, factor: float) -> None:
        """Look at ``factor`` times as much, around the cursor; 0 for all of it."""
        first, last = self.whole
        low, high = first if self.start is None else self.start, last if self.end is None else self.end
        span = (high - low) * factor
        if not factor or span >= last - first:
            self.start = self.end = None
            return
        if factor < 1 and len(self.places) < 4:
            return
        centre = self.at if self.at is not None else (low + high) / 2
        self.start = max(first, min(centre - span / 2, last - span))
        self.end = self.start + span

    def _pan(self, by: int) -> bool:
        """What is looked at half of itself to the left or to the right; returns whether there was anything more there."""
        first, last = self.whole
        if self.start is None or self.end is None:
            return False
        span = self.end - self.start
        start = max(first, min(self.start + (span / 2 if by > 0 else -span / 2), last - span))
        if start == self.start:
            return False
        self.start, self.end = start, start + span
        return True
