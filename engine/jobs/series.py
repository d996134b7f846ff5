"""What a job wrote by step, as lines to draw: smoothed as TensorBoard does, thinned so that no peak is lost."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Literal

from engine import events
from engine.jobs import journal

if TYPE_CHECKING:
    from pathlib import Path

Points = list[tuple[float, float]]
Across = Literal["step", "time"]
STILL = (events.JobQueued, events.JobStarted, events.JobInterrupted, events.JobCancelled)
"""Events before which the job did not run: the time up to them does not count."""
KEPT = 4
"""Journals that are read on from where they were read before, those that were read last."""


@dataclass(slots=True)
class Written:
    """The values of one metric, in the order of steps, each with the seconds that the job had run by then."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def put(self, step: int, seconds: float, value: float) -> None:
        """A step that comes again (a resume) counts as it comes last."""
        at = bisect_left(self.steps, step)
        if at < len(self.steps) and self.steps[at] == step:
            self.seconds[at], self.values[at] = seconds, value
            return
        self.steps.insert(at, step)
        self.seconds.insert(at, seconds)
        self.values.insert(at, value)


@dataclass(slots=True)
class Followed:
    """The figures of a journal up to byte ``offset``, by metric. ``ran``: the seconds that the job ran up to there."""

    offset: int = 0
    metrics: dict[str, Written] = field(default_factory=dict)
    ran: float = 0.0
    last: float | None = None

    def read_on(self, journal_file: Path) -> None:
        for event, offset in journal.read(journal_file, self.offset):
            self.offset = offset
            at = datetime.fromisoformat(event.at).timestamp()
            if self.last is not None and not isinstance(event, STILL):
                self.ran += max(0.0, at - self.last)
            self.last = at
            if isinstance(event, events.JobMetric) and math.isfinite(event.value):
                self.metrics.setdefault(event.name, Written()).put(event.step, self.ran, event.value)


_followed: OrderedDict[Path, Followed] = OrderedDict()
_reading = Lock()


def series(journal_file: Path, across: Across = "step") -> dict[str, Points]:
    """(step, value) by metric, in the order of steps; or (seconds of running, value), in the order of time."""
    with _reading:
        found = _followed.pop(journal_file, None)
        if found is None or not journal_file.is_file() or journal_file.stat().st_size < found.offset:
            found = Followed()
        found.read_on(journal_file)
        _followed[journal_file] = found
        while len(_followed) > KEPT:
            _followed.popitem(last=False)
        if across == "time":
            return {name: sorted(zip(seen.seconds, seen.values, strict=True)) for name, seen in found.metrics.items()}
        return {name: list(zip(seen.steps, seen.values, strict=True)) for name, seen in found.metrics.items()}


def smooth(points: Points, weight: float) -> Points:
    """An exponential moving average: ``weight`` (0 to under 1) of what was, the rest of what is. Divided by what the weights
    add up to so far, as TensorBoard does, so that the first values do not lean to 0."""
    found, last = [], 0.0
    for number, (step, value) in enumerate(points, start=1):
        last = last * weight + (1 - weight) * value
        found.append((step, last / (1 - weight**number)))
    return found


def thinned(points: Points, most: int) -> Points:
    """At most ``most`` points (4 or more): the first, the last, and of each stretch between them the lowest and the highest."""
    if len(points) <= most:
        return points
    inner, stretches = points[1:-1], (most - 2) // 2
    found = [points[0]]
    for number in range(stretches):
        stretch = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        found += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return [*found, points[-1]]
