"""What a job wrote by step, as lines to draw: smoothed as TensorBoard does, thinned so that no peak is lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine import events
from engine.jobs import journal

if TYPE_CHECKING:
    from pathlib import Path

Points = list[tuple[int, float]]


def series(journal_file: Path) -> dict[str, Points]:
    """(step, value) by metric, in the order of steps. A step that came twice (a resume) counts as it came last."""
    values: dict[str, dict[int, float]] = {}
    for event, _ in journal.read(journal_file):
        if isinstance(event, events.JobMetric) and math.isfinite(event.value):
            values.setdefault(event.name, {})[event.step] = event.value
    return {name: sorted(found.items()) for name, found in values.items()}


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
