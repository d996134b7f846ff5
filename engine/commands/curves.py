"""Several jobs' figures by step, beside each other."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.errors import JobError
from engine.jobs.series import series, smooth, thinned
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.series import Points

MOST_JOBS = 4
MOST_POINTS = 600
"""Points of a line: a terminal has no place for more."""
ROWS = 20


class Curves(Now):
    """Several jobs' figures by step on one chart: loss, eval_loss, learning_rate, grad_norm, tokens_per_second, …

    On the screen, m chooses another figure, s the smoothing, l the logarithm, and the arrows or the mouse read the lines.
    """

    verb = "curves"
    words = ("job", "more")
    examples = ("curves 3", "curves 3 5 --metric eval_loss --smooth 0.6 --log")
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")
    more: str = Field("", description="Further ones, with spaces between them (four in all)")
    metric: str = Field("loss", description="Which figure; job NUMBER lists those of a job")
    smooth: float = Field(0.0, ge=0, lt=1, description="Exponential smoothing, as TensorBoard's: 0.6 is some, 0.97 much")
    log: bool = Field(False, description="A logarithmic scale; values of 0 and below are left out")

    def run(self, desk: Desk) -> Result:
        names = list(dict.fromkeys([self.job, *self.more.replace(",", " ").split()]))
        if len(names) > MOST_JOBS:
            raise JobError(f"{len(names)} jobs are too many for one chart: at most {MOST_JOBS}.", "Leave some out.")
        records = [desk.workspace.jobs.get(name) for name in names]
        found = {record.id: series(desk.workspace.paths.job(record.id) / "events.jsonl") for record in records}
        metrics = sorted({name for lines in found.values() for name in lines})
        if metrics and self.metric not in metrics:
            if self.metric != "loss":
                raise JobError(f"None of these jobs wrote {self.metric!r}.", f"They wrote: {', '.join(metrics)}.")
            metric = metrics[0]
        else:
            metric = self.metric
        lines = {record.id: self._line(found[record.id].get(metric, [])) for record in records}
        data: dict[str, Any] = {
            "metric": metric, "metrics": metrics, "smooth": self.smooth, "log": self.log,
            "jobs": [
                {"job": record.id, "title": record.title, "state": record.state, "points": len(found[record.id].get(metric, [])), "series": lines[record.id]}
                for record in records
            ],
        }  # fmt: skip
        told = ", ".join(f"job {name} {line[-1][1]:.4g} at step {line[-1][0]}" if line else f"job {name} none" for name, line in lines.items())
        smoothed = f", smoothed by {self.smooth:g}" if self.smooth else ""
        summary = f"{metric.replace('_', ' ')}{smoothed}: {told}." if metrics else f"{told.replace(' none', ' wrote no figures by step')}."
        opens = f"curves:{','.join(lines)};{metric};{self.smooth:g};{int(self.log)}" if metrics else ""
        return Result(summary, data, _table(lines), opens=opens)

    def _line(self, points: Points) -> Points:
        smoothed = smooth(points, self.smooth) if self.smooth else points
        return thinned([point for point in smoothed if point[1] > 0] if self.log else smoothed, MOST_POINTS)


def _table(lines: dict[str, Points]) -> Table | None:
    """The values at about twenty steps; where a line has none there, the last one before."""
    steps = sorted({step for line in lines.values() for step, _ in line})
    if not steps:
        return None
    chosen = sorted({steps[number * (len(steps) - 1) // (ROWS - 1)] for number in range(ROWS)})
    rows = [[str(step), *(_at(line, step) for line in lines.values())] for step in chosen]
    return Table(["step", *(f"job {name}" for name in lines)], rows)


def _at(line: Points, step: int) -> str:
    at = bisect_right(line, step, key=lambda point: point[0]) - 1
    return f"{line[at][1]:.4g}" if at >= 0 and step <= line[-1][0] else ""
