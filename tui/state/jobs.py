"""What the screen knows of jobs, reduced from their events. Steps that come twice (a resume) are kept once."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from engine import events
from tui.state.catalog import size
from tui.state.plot import LETTERS, Line, Plot, plot, spark

if TYPE_CHECKING:
    from collections.abc import Iterable

GLYPHS = {"queued": "○", "running": "▶", "paused": "‖", "done": "✓", "failed": "✗", "cancelled": "–", "interrupted": "!"}
OVER = ("done", "failed", "cancelled")
ENDS = (events.JobPaused, events.JobFinished, events.JobFailed, events.JobCancelled)
RESUMABLE = ("paused", "interrupted", "failed", "cancelled")
LOG_LINES = 400
BARS = 10
"""Cells of a curve beside its figure."""
DRAWN = 600
"""Points of a curve that are drawn at most, about four for each column of a wide terminal."""


@dataclass(slots=True)
class Curve:
    """Values by step, in the order of steps; a step that comes again replaces its value. ``heard`` counts what came."""

    points: list[tuple[int, float]] = field(default_factory=list)
    heard: int = 0

    def put(self, step: int, value: float) -> None:
        if not math.isfinite(value):
            return  # a loss that ran away has no place on a chart; the job's log tells of it
        self.heard += 1
        if not self.points or step > self.points[-1][0]:
            self.points.append((step, value))
            return
        at = bisect_left(self.points, (step,))
        if at < len(self.points) and self.points[at][0] == step:
            self.points[at] = (step, value)
        else:
            self.points.insert(at, (step, value))

    @property
    def last(self) -> float:
        return self.points[-1][1]

    def thinned(self, most: int) -> list[tuple[int, float]]:
        """At most ``most`` points (4 or more): the first, the last, and of each stretch the lowest and the highest, so that no peak is lost."""
        points = self.points
        if len(points) <= most:
            return points
        stride = -(-(len(points) - 2) // ((most - 2) // 2))
        found = [points[0]]
        for start in range(1, len(points) - 1, stride):
            stretch = points[start : min(start + stride, len(points) - 1)]
            found += sorted({min(stretch, key=itemgetter(1)), max(stretch, key=itemgetter(1))})
        return [*found, points[-1]]


@dataclass(slots=True)
class JobView:
    """One job. ``eta`` in seconds; ``rate`` in ``unit`` a second; ``percent`` 0 to 100, or ``None``."""

    id: str
    verb: str = ""
    title: str = ""
    state: str = "queued"
    done: float = 0.0
    total: float | None = None
    unit: str = ""
    rate: float | None = None
    eta: float | None = None
    note: str = ""
    summary: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    checkpoint: int | None = None
    seq: int = 0
    position: float = math.inf
    """Where in the queue it is; a job that was only heard of is at its end."""
    loaded: bool = False
    """Whether the job's journal was read, so that curves and log are whole."""

    @property
    def percent(self) -> float | None:
        if self.state == "done":
            return 100.0
        return min(100.0, 100 * self.done / self.total) if self.total else None

    @property
    def glyph(self) -> str:
        return GLYPHS.get(self.state, "?")

    def figures(self) -> list[tuple[str, str]]:
        """The latest figures, as a person reads them."""
        found = []
        told = size if self.unit == "bytes" else "{:g}".format
        if self.total:
            found.append((self.unit or "done", f"{told(self.done)} / {told(self.total)}"))
        elif self.done and self.unit not in self.curves:
            found.append((self.unit or "done", told(self.done)))
        if self.rate and self.state == "running":
            found.append(("speed", f"{size(self.rate)}/s" if self.unit == "bytes" else f"{self.rate:.3g} {self.unit}/s"))
        if self.eta is not None and self.state == "running":
            found.append(("left", span(self.eta)))
        for name, curve in self.curves.items():
            if curve.points:
                found.append((name.replace("_", " "), f"{curve.last:.4g}"))
        if self.checkpoint is not None:
            found.append(("checkpoint", f"step {self.checkpoint}"))
        return found

    def bars(self, figure: str) -> str:
        """How one of :meth:`figures` came to be what it is, as a line of bars; nothing for what is no curve."""
        curve = self.curves.get(figure.replace(" ", "_"))
        if curve is None or not curve.points:
            return ""
        stride = -(-len(curve.points) // (4 * BARS))
        return spark([value for _, value in [*curve.points[:-1:stride], curve.points[-1]]], BARS)

    def apply(self, event: events.Event) -> bool:
        """Take in an event of this job; returns whether anything changed. Events already seen are passed over."""
        if event.seq:
            if event.seq <= self.seq:
                return False
            self.seq = event.seq
        match event:
            case events.JobQueued(title=title, verb=verb):
                self.title, self.verb, self.state, self.error = title, verb, "queued", {}
            case events.JobStarted(resumed=resumed):
                self.state, self.error, self.summary = "running", {}, ""
                self.rate = self.eta = None
                self.log.append("resumed" if resumed else "started")
            case events.JobProgress(done=done, total=total, unit=unit, rate=rate, eta=eta, note=note):
                self.done, self.total, self.unit, self.rate, self.eta, self.note = done, total, unit, rate, eta, note
            case events.JobMetric(step=step, name=name, value=value):
                self.curves.setdefault(name, Curve()).put(step, value)
            case events.JobLog(text=text, level=level):
                self.log.append(text if level == "info" else f"{level}: {text}")
            case events.JobCheckpoint(step=step):
                self.checkpoint = step
                self.log.append(f"checkpoint at step {step}")
            case _:
                return self._end(event)
        return True

    def _end(self, event: events.Event) -> bool:
        match event:
            case events.JobPaused(reason=reason):
                self._stop("paused", reason or "paused")
            case events.JobFinished(summary=summary):
                self._stop("done", f"done: {summary}")
                self.summary = summary
            case events.JobFailed(title=title, message=message, hint=hint, repairs=repairs):
                self._stop("failed", f"failed: {message}")
                self.error = {"title": title, "message": message, "hint": hint, **({"repairs": repairs} if repairs else {})}
            case events.JobCancelled():
                self._stop("cancelled", "cancelled")
            case events.JobInterrupted():
                self._stop("interrupted", "interrupted: its process is gone")
            case _:
                return False
        return True

    def _stop(self, state: str, line: str) -> None:
        self.state = state
        self.eta = self.rate = None
        self.log.append(line)


class JobsState:
    """Every job the screen knows."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobView] = {}

    def ordered(self) -> list[JobView]:
        """Those that run on top, then those that wait, in the order they will run in; then the newest first."""

        def place(job: JobView) -> tuple[int, float, int]:
            number, waits = int(job.id) if job.id.isdigit() else 0, job.state == "queued"
            return 0 if job.state == "running" else 1 if waits else 2, job.position if waits else 0.0, number if waits else -number

        return sorted(self.jobs.values(), key=place)

    def running(self) -> list[JobView]:
        return [job for job in self.ordered() if job.state == "running"]

    def waiting(self) -> list[JobView]:
        return [job for job in self.ordered() if job.state == "queued"]

    def load(self, records: Iterable[Any]) -> None:
        """Take the engine's job records: their states are the truth, what events said in between is kept."""
        for record in records:
            job = self.jobs.setdefault(record.id, JobView(record.id))
            job.verb, job.title, job.state, job.position = record.verb, record.title, record.state, record.position
            job.summary, job.error = record.summary, record.error

    def load_history(self, job_id: str, history: Iterable[events.Event]) -> None:
        """Rebuild a job's curves and log from its journal; what the record says of its state stays."""
        job = self.jobs.setdefault(job_id, JobView(job_id))
        fresh = JobView(job_id, verb=job.verb, title=job.title)
        live, written = job.seq, list(history)
        if written and isinstance(written[-1], ENDS) and written[-1].seq > live and job.state in ("queued", "running"):
            written.pop()  # It is written before it is told: who waits for the end must hear it then.
        for event in written:
            fresh.apply(event)
        if fresh.seq < live:
            return  # more has happened since the journal was read: the next look reads it again
        fresh.state, fresh.summary, fresh.error, fresh.loaded = job.state, job.summary or fresh.summary, job.error or fresh.error, True
        fresh.position = job.position
        if fresh.state != "running":
            fresh.eta = fresh.rate = None
        self.jobs[job_id] = fresh

    def apply(self, event: events.Event) -> str:
        """The id of the job that changed, or an empty string."""
        if not event.job or event.job.startswith("call-"):
            return ""
        known = event.job in self.jobs
        if not known and not isinstance(event, events.JobQueued):
            return ""
        job = self.jobs.setdefault(event.job, JobView(event.job))
        return event.job if job.apply(event) else ""


def shown(curves: dict[str, Curve]) -> dict[str, str]:
    """The curves worth drawing together, each with its letter, shorter names first: losses, else the first that moves."""
    losses = sorted((name for name, curve in curves.items() if "loss" in name and curve.points), key=lambda name: (len(name), name))
    return dict(zip(losses or [name for name, curve in curves.items() if len(curve.points) > 1][:1], LETTERS, strict=False))


def chart(curves: dict[str, Curve], width: int, height: int) -> Plot:
    """The curves that are :func:`shown`, drawn into ``width`` by ``height`` cells."""
    return plot([Line(curves[name].thinned(DRAWN), letter) for name, letter in shown(curves).items()], width, height)


def span(seconds: float) -> str:
    """A time in words: 42 s, 3:20, 1 h 05."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600} h {whole % 3600 // 60:02}"


def bar(percent: float | None, width: int) -> tuple[str, str]:
    """The filled and the empty part of a progress bar of ``width`` cells."""
    full = round(width * (percent or 0) / 100)
    return "━" * full, "─" * (width - full)
