"""What a job's work sees: where to write, how to report, and when to stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine.errors import Stopped
from engine.events import CatalogChanged, Event, JobCheckpoint, JobLog, JobMetric, JobProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.results import Result
    from engine.store.workspace import Workspace


Where = Literal["thread", "warm", "fresh"]
"""What runs a job: the worker thread; a child forked from the warm server (no Hub); a new process (the Hub)."""


Slot = Literal["compute", "io", "serve"]
"""The queue a job waits in: one computes at a time, a few read and write, and a server keeps neither waiting."""


class Runnable(Protocol):
    """What the queue needs of a Command; the Commands themselves live in a room above."""

    @property
    def verb(self) -> str: ...

    @property
    def slot(self) -> Slot: ...

    @property
    def where(self) -> Where: ...

    def title(self) -> str: ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]: ...

    def work(self, job: JobContext) -> Result: ...


class CancelToken:
    """Asked from one thread, looked at by another. ``how`` is empty, ``pause`` or ``cancel``."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.how: Literal["", "pause", "cancel"] = ""

    def ask(self, how: Literal["pause", "cancel"]) -> None:
        if self.how != "cancel":
            self.how = how
        self._event.set()

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Stopped`` once a stop was asked for."""
        if self.asked:
            raise Stopped(self.how)

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when a stop is asked for; returns whether it was."""
        return self._event.wait(seconds)


class JobContext:
    """Handed to a Command's ``work``, in a thread or in a child process alike."""

    def __init__(self, job_id: str, workspace: Workspace, emit: Callable[[Event], None], token: CancelToken, *, resumed: bool) -> None:
        self.id = job_id
        self.workspace = workspace
        self.folder: Path = workspace.paths.job(job_id)
        self.token = token
        self.resumed = resumed
        """Whether an earlier attempt may have left work in ``folder``."""
        self._emit = emit
        self._began: tuple[str, float, float] | None = None
        self._said = 0.0

    def elsewhere(self, workspace: Workspace) -> JobContext:
        """The same job at work in another workspace, one that nobody sees: it reports and stops, and changes no list."""

        def emit(event: Event) -> None:
            if not isinstance(event, CatalogChanged):
                self._emit(event)

        return JobContext(self.id, workspace, emit, self.token, resumed=False)

    def check(self) -> None:
        """Call at every step: raises ``Stopped`` when the job was asked to pause or cancel."""
        self.token.check()

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        """Report how far the present stage is; rate and ETA follow from the calls since the stage began.

        At most ten reports a second leave; the first and the last of a stage always do.
        """
        moment = time.monotonic()
        stage = f"{unit}:{note}"
        if self._began is None or self._began[0] != stage or done < self._began[2]:
            self._began = (stage, moment, done)
            self._said = 0.0
        if moment - self._said < 0.1 and done != total:
            return
        self._said = moment
        _, began, first = self._began
        passed = moment - began
        rate = (done - first) / passed if passed > 0.2 and done > first else None
        eta = (total - done) / rate if rate and total is not None else None
        self._emit(JobProgress(done=done, total=total, unit=unit, rate=rate, eta=eta, note=note))

    def metric(self, step: int, name: str, value: float) -> None:
        self._emit(JobMetric(step=step, name=name, value=float(value)))

    def log(self, text: str, level: str = "info") -> None:
        self._emit(JobLog(text=text, level=level))

    def checkpoint(self, step: int, path: Path) -> None:
        """Say that the work up to ``step`` is safe in ``path``."""
        self._emit(JobCheckpoint(step=step, path=str(path)))

    def changed(self, what: str, name: str = "") -> None:
        """Say that a list (datasets, models, indexes, runs) is no longer what the screen shows."""
        self._emit(CatalogChanged(what=what, name=name))
