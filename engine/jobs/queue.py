"""The queue: worker threads that claim jobs, drive them, and keep their leases alive."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.errors import BitternError, Stopped, explain
from engine.events import (
    CatalogChanged,
    Event,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobInterrupted,
    JobPaused,
    JobQueued,
    JobStarted,
)
from engine.jobs import journal
from engine.jobs.context import CancelToken
from engine.jobs.journal import Journal
from engine.jobs.runner import run
from engine.jobs.surroundings import surroundings
from engine.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bus import Bus
    from engine.jobs.context import Runnable
    from engine.store.jobs import JobRecord, State
    from engine.store.workspace import Workspace

log = logging.getLogger(__name__)
SLOTS = {"compute": 1, "io": 2, "serve": 4}


class JobQueue:
    """Runs jobs on daemon threads. ``everything``: claim whatever is queued (a screen, a worker); otherwise only
    what this process submitted (a single command). ``loader`` (``module:function``) makes a Command of a stored
    verb and its JSON, here and in the child."""

    def __init__(self, workspace: Workspace, bus: Bus, loader: str, *, everything: bool) -> None:
        self._workspace = workspace
        self._loader = loader
        self._bus = bus
        self._own: set[str] | None = None if everything else set()
        self._tokens: dict[str, CancelToken] = {}
        self._offsets: dict[str, int] = {}
        self._wake = threading.Condition()
        self._telling = threading.RLock()
        """Held while a job is put into the table and told of: no thread here may begin it, and tell that, before."""
        self._news = 0
        self._poked = threading.Event()
        self._closing = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the worker threads and the heartbeat."""
        for job_id in self._workspace.jobs.reap():
            self._bus.publish(JobInterrupted(job=job_id))
        for slot, count in SLOTS.items():
            for number in range(count):
                self._thread(f"{slot}-{number}", self._serve, slot)
        self._thread("heartbeat", self._heartbeat)

    def submit(self, command: Runnable, after: Sequence[str] = ()) -> JobRecord:
        """Queue a Command; ``after`` are ids of jobs that must be done first."""
        made_with = surroundings()
        with self._telling:
            record = self._workspace.jobs.add(command.verb, command.model_dump(mode="json"), command.title(), command.slot, after)
            folder = self._workspace.paths.job(record.id)
            folder.mkdir(parents=True, exist_ok=True)
            told = {"id": record.id, "verb": record.verb, "command": record.command, "created": record.created, "made_with": made_with}
            write_json(folder / "job.json", told)
            self._bus.publish(JobQueued(job=record.id, title=record.title, verb=record.verb))
        self._adopt(record.id)
        return record

    def resume(self, job_id: str) -> JobRecord:
        """Queue a stopped job again; it goes on from its last checkpoint. Raises ``JobError``."""
        with self._telling:
            record = self._workspace.jobs.requeue(job_id)
            self._bus.publish(JobQueued(job=job_id, title=record.title, verb=record.verb))
        self._adopt(job_id)
        return record

    def poke(self) -> None:
        """Look at the table now: something was asked, moved or queued."""
        self._bus.publish(CatalogChanged(what="jobs"))
        self._poked.set()
        self._rouse()

    def busy(self) -> list[str]:
        """The jobs that this process is running."""
        return list(self._tokens)

    def close(self, wait: float = 30.0) -> None:
        """Pause what runs (each writes a checkpoint), wait up to ``wait`` seconds, and stop claiming."""
        self._closing = True
        for token in list(self._tokens.values()):
            token.ask("pause")
        self.poke()
        deadline = time.monotonic() + wait
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _rouse(self) -> None:
        with self._wake:
            self._news += 1
            self._wake.notify_all()

    def _adopt(self, job_id: str) -> None:
        if self._own is not None:
            self._own.add(job_id)
        self.poke()

    def _thread(self, name: str, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=f"jobs-{name}", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _serve(self, slot: str) -> None:
        while not self._closing:
            seen = self._news
            record = self._claim(slot)
            if record is None:
                # What came while the table was read is news too: no thread may sleep over it.
                with self._wake:
                    if self._news == seen:
                        self._wake.wait(1.0)
                continue
            try:
                self._drive(record)
            except Exception:
                log.exception("job %s could not be driven", record.id)

    def _claim(self, slot: str) -> JobRecord | None:
        try:
            with self._telling:
                if self._own is None:
                    return self._workspace.jobs.claim(slot)
                for job_id in sorted(self._own, key=int):
                    if record := self._workspace.jobs.claim(slot, only=job_id):
                        return record
        except Exception:
            log.exception("the job table could not be read")
            time.sleep(1.0)
        return None

    def _drive(self, record: JobRecord) -> None:
        token = self._tokens[record.id] = CancelToken()
        try:
            self._end(record, *self._outcome(record, token))
        finally:
            del self._tokens[record.id]
            self._rouse()

    def _outcome(self, record: JobRecord, token: CancelToken) -> tuple[State, Event, BitternError | None]:
        """Do the job's work; whatever happens is an outcome."""
        folder = self._workspace.paths.job(record.id)
        try:
            with closing(Journal(folder, record.id)) as written:

                def emit(event: Event) -> None:
                    self._bus.publish(written.write(event))

                emit(JobStarted(resumed=record.attempts > 1))
                result = run(self._loader, record, self._workspace, emit, token)
            write_json(folder / "result.json", result.as_dict())
        except Stopped as stopped:
            return ("paused", JobPaused(), None) if stopped.how == "pause" else ("cancelled", JobCancelled(), None)
        except BaseException as error:
            if not isinstance(error, BitternError):
                log.exception("job %s failed", record.id)
            told = explain(error)
            repairs = [asdict(repair) for repair in told.repairs]
            return "failed", JobFailed(title=told.title, message=told.message, hint=told.hint, repairs=repairs), told
        return "done", JobFinished(summary=result.summary), None

    def _end(self, record: JobRecord, state: State, event: Event, error: BitternError | None) -> None:
        """Write down how the job ended. On a full disk the workspace's reserve makes the room for that."""
        summary = event.summary if isinstance(event, JobFinished) else ""
        for last in (False, True):
            try:
                self._workspace.jobs.finish(record.id, state, summary, error.as_dict() if error else None)
                with closing(Journal(self._workspace.paths.job(record.id), record.id)) as written:
                    event = written.write(event)
                break
            except (OSError, BitternError):
                if last:
                    raise
                self._workspace.give_room()
        self._bus.publish(event)

    def _heartbeat(self) -> None:
        last_reap = 0.0
        while not self._closing or self._tokens:
            self._poked.wait(1.0)
            self._poked.clear()
            try:
                for job_id, request in self._workspace.jobs.beat(self.busy()).items():
                    if request and job_id in self._tokens:
                        self._tokens[job_id].ask("cancel" if request == "cancel" else "pause")
                if time.monotonic() - last_reap > 3.0:
                    last_reap = time.monotonic()
                    for job_id in self._workspace.jobs.reap():
                        self._bus.publish(JobInterrupted(job=job_id))
                self._follow_others()
            except Exception:
                log.exception("the heartbeat missed a beat")

    def _follow_others(self) -> None:
        """Publish what jobs of other processes on this workspace write to their journals."""
        theirs = {record.id for record in self._workspace.jobs.running()} - set(self._tokens)
        for job_id in theirs | set(self._offsets):
            path = self._workspace.paths.job(job_id) / "events.jsonl"
            if job_id not in self._offsets:
                # What was written before is read by whoever shows the job; only news is published.
                self._offsets[job_id] = path.stat().st_size if path.is_file() else 0
                self._bus.publish(CatalogChanged(what="jobs", name=job_id))
            for event, offset in journal.read(path, self._offsets[job_id]):
                self._offsets[job_id] = offset
                if job_id not in self._tokens:
                    self._bus.publish(event)
            if job_id not in theirs:
                del self._offsets[job_id]
                self._bus.publish(CatalogChanged(what="jobs", name=job_id))
