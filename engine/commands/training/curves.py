"""Several jobs' figures by step, beside each other."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now
from engine.errors import JobRefused, WordsError
from engine.jobs.series import series, smooth, thinned
from engine.results import Chart, Result, Table

if TYPE_CHECKING:
    from engine.jobs.series import Points
    from engine.store.jobs import JobRecord

MOST_JOBS = 4
MOST_POINTS = 600
"""Points of a line: a terminal has no place for more."""
ROWS = 20


class Curves(Now):
    """Several jobs' figures on one chart: loss, eval_loss, learning_rate, grad_norm, tokens_per_second, memory_GiB, …

    On the screen, m chooses another figure, s the smoothing, l the logarithm, t steps or time, + and - a part of it, and the
    arrows or the mouse read the lines.
    """

    verb = "curves"
    words = ("job", "more")
    rest = True
    examples = ("curves 3", "curves 3 5 --metric eval_loss --smooth 0.6 --log", "curves 3 --metric memory_GiB --by time --end 600")
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")
    more: str = Field("", description="Further ones, with spaces between them (four in all)")
    metric: str = Field("loss", description="Which figure; job NUMBER lists those of a job")
    smooth: float = Field(0.0, ge=0, lt=1, description="Exponential smoothing, as TensorBoard's: 0.6 is some, 0.97 much")
    log: bool = Field(False, description="A logarithmic scale; values of 0 and below are left out")
    by: Literal["step", "time"] = Field("step", description="By step, or by the seconds that a job ran (pauses are left out)")
    start: float | None = Field(None, description="Leave out what is before this step, or second")
    end: float | None = Field(None, description="Leave out what is after this step, or second")

    def run(self, desk: Desk) -> Result:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise WordsError(
                f"Nothing lies from {self.start:g} to {self.end:g}.", f"Write the smaller first: --start {self.end:g} --end {self.start:g}"
            )
        names = list(dict.fromkeys([self.job, *self.more.replace(",", " ").split()]))
        if len(names) > MOST_JOBS:
            raise JobRefused(f"{len(names)} jobs are too many for one chart: at most {MOST_JOBS}.", "Leave some out.")
        records = [desk.workspace.jobs.get(name) for name in names]
        found = {record.id: series(desk.workspace.paths.job(record.id) / "events.jsonl", self.by) for record in records}
        metrics = sorted({name for lines in found.values() for name in lines})
        if metrics and self.metric not in metrics:
            if self.metric != "loss":
                raise JobRefused(f"None of these jobs wrote {self.metric!r}.", f"They wrote: {', '.join(metrics)}.")
            metric = metrics[0]
        else:
            metric = self.metric
        whole = {record.id: self._line(found[record.id].get(metric, [])) for record in records}
        lines = {name: thinned(line, MOST_POINTS) for name, line in whole.items()}
        data: dict[str, Any] = {
            "metric": metric, "metrics": metrics, "smooth": self.smooth, "log": self.log, "by": self.by, "start": self.start, "end": self.end,
            "jobs": [_of(record, found[record.id].get(metric, []), whole[record.id], lines[record.id]) for record in records],
        }  # fmt: skip
        told = ", ".join(f"job {name} {line[-1][1]:.4g} {self._at(line[-1][0])}" if line else f"job {name} none" for name, line in lines.items())
        smoothed = f", smoothed by {self.smooth:g}" if self.smooth else ""
        summary = f"{metric.replace('_', ' ')}{smoothed}: {told}." if metrics else f"No figures by step were written by job {', '.join(lines)}."
        shown = [f"{value:.12g}" if value is not None else "" for value in (self.start, self.end)]
        opens = ";".join([f"curves:{','.join(lines)}", metric, f"{self.smooth:g}", str(int(self.log)), self.by, *shown]) if metrics else ""
        chart = Chart({f"job {record.id}  {record.title}": lines[record.id] for record in records}, self.log, self.by == "time")
        return Result(summary, data, _table(lines, self.by), opens=opens, chart=chart if any(lines.values()) else None)

    def _line(self, points: Points) -> Points:
        """What is to be seen of a line. Smoothed before anything is left out, so that each value stays what it is."""
        smoothed = smooth(points, self.smooth) if self.smooth else points
        low = self.start if self.start is not None else float("-inf")
        high = self.end if self.end is not None else float("inf")
        return [point for point in smoothed if low <= point[0] <= high and (not self.log or point[1] > 0)]

    def _at(self, place: float) -> str:
        return f"after {place:.0f} s" if self.by == "time" else f"at step {place:.0f}"


def _of(record: JobRecord, points: Points, seen: Points, line: Points) -> dict[str, Any]:
    """A job's line as data. ``lowest`` and ``highest`` are points of what is seen of it."""
    lowest, highest = (pick(seen, key=lambda point: point[1], default=None) for pick in (min, max))
    return {
        "job": record.id, "title": record.title, "state": record.state, "points": len(points), "series": line, "lowest": lowest, "highest": highest,
    }  # fmt: skip


def _table(lines: dict[str, Points], by: str) -> Table | None:
    """The values at about twenty steps; where a line has none there, the last one before."""
    steps = sorted({step for line in lines.values() for step, _ in line})
    if not steps:
        return None
    chosen = sorted({steps[number * (len(steps) - 1) // (ROWS - 1)] for number in range(ROWS)})
    rows = [[f"{step:.0f}", *(_at(line, step) for line in lines.values())] for step in chosen]
    return Table(["step" if by == "step" else "seconds", *(f"job {name}" for name in lines)], rows)


def _at(line: Points, step: float) -> str:
    at = bisect_right(line, step, key=lambda point: point[0]) - 1
    return f"{line[at][1]:.4g}" if at >= 0 and step <= line[-1][0] else ""
