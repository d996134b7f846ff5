"""Jobs: the queue, who runs what, and for how long that is believed (the lease)."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import JobError, JobRefused, NotFound
from engine.events import now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from engine.store.database import Database

State = Literal["queued", "running", "paused", "done", "failed", "cancelled", "interrupted"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")
LEASE_SECONDS = 15.0
"""A running job whose process has not been heard of for so long is taken to be interrupted."""

MAKERS = {"model": ("train", "sweep", "pull", "merge", "new"), "dataset": ("add", "keep")}
"""The verbs whose ``name`` is that of the model or dataset that the job leaves."""


def maker(database: Database, kind: Literal["model", "dataset"], name: str) -> JobRecord | None:
    """The unfinished job that is to make a model or dataset of that name."""
    row = database.row(
        "SELECT * FROM jobs WHERE state NOT IN ('done', 'failed', 'cancelled') AND json_extract(command, '$.name') = ?"
        " AND verb IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
        name, json.dumps(MAKERS[kind]),
    )  # fmt: skip
    return _record(row) if row else None


def missing(database: Database, kind: Literal["model", "dataset"], name: str, known: Sequence[str], otherwise: str) -> NotFound:
    """The error for a name that is not there: an unfinished job may be about to make it."""
    job = maker(database, kind, name)
    if job is None:
        return NotFound.named(kind, name, known, otherwise)
    going_on = f" Go on with it: resume {job.id}" if job.resumable else ""
    return NotFound(f"There is no {kind} called “{name}” yet.", f"Job {job.id}, which makes it, is {job.state}.{going_on}")


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job. ``command`` is the Command's JSON; ``after`` are ids that must be done first; ``request`` is what the
    job's process is asked to do next (``cancel``, ``pause`` or nothing); ``beat`` is the lease's last heartbeat, in
    seconds since the epoch; ``error`` is an error's JSON, or empty."""

    id: str
    verb: str
    command: dict[str, Any]
    title: str
    slot: str
    state: State
    position: float
    after: list[str]
    request: str
    pid: int | None
    host: str | None
    beat: float | None
    attempts: int
    created: str
    started: str | None
    finished: str | None
    summary: str
    error: dict[str, Any]

    @property
    def resumable(self) -> bool:
        return self.state in ("paused", "interrupted", "failed", "cancelled")


class JobTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, verb: str, command: dict[str, Any], title: str, slot: str, after: Sequence[str] = ()) -> JobRecord:
        number = self._db.write(
            "INSERT INTO jobs (verb, command, title, slot, state, position, after, created)"
            " VALUES (?, ?, ?, ?, 'queued', COALESCE((SELECT MAX(position) FROM jobs), 0) + 1, ?, ?)",
            verb, json.dumps(command), title, slot, json.dumps(list(after)), now(),
        )  # fmt: skip
        return self.get(str(number))

    def get(self, job_id: str) -> JobRecord:
        """Raises ``NotFound``."""
        row = self._db.row("SELECT * FROM jobs WHERE id = ?", job_id)
        if row is None:
            raise NotFound(f"There is no job {job_id}.", "`jobs` lists them.")
        return _record(row)

    def all(self, last: int = 200) -> list[JobRecord]:
        """The newest ``last`` jobs, newest first."""
        return [_record(row) for row in self._db.rows("SELECT * FROM jobs ORDER BY id DESC LIMIT ?", last)]

    def running(self) -> list[JobRecord]:
        return [_record(row) for row in self._db.rows("SELECT * FROM jobs WHERE state = 'running' ORDER BY id")]

    def claim(self, slot: str, only: str | None = None) -> JobRecord | None:
        """Take the next queued job of ``slot`` for this process, or ``None``.

        One compute job runs at a time in a workspace, whichever process runs it. A job whose ``after`` has failed
        or was cancelled fails with it.
        """
        with self._db.transaction() as tx:
            if slot == "compute" and tx.execute("SELECT 1 FROM jobs WHERE slot = 'compute' AND state = 'running'").fetchone():
                return None
            for row in tx.execute("SELECT * FROM jobs WHERE state = 'queued' AND slot = ? ORDER BY position", (slot,)).fetchall():
                if only is not None and str(row["id"]) != only:
                    continue
                if not self._ready(tx, row):
                    continue
                tx.execute(
                    "UPDATE jobs SET state = 'running', request = '', pid = ?, host = ?, beat = ?, attempts = attempts + 1,"
                    " started = COALESCE(started, ?), finished = NULL, error = '', summary = '' WHERE id = ?",
                    (os.getpid(), socket.gethostname(), time.time(), now(), row["id"]),
                )
                return _record(tx.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone())
        return None

    def _ready(self, tx: sqlite3.Connection, row: sqlite3.Row) -> bool:
        for earlier in json.loads(row["after"]):
            found = tx.execute("SELECT state FROM jobs WHERE id = ?", (earlier,)).fetchone()
            state = found["state"] if found else "cancelled"
            if state in ("failed", "cancelled"):
                error = JobError(
                    f"Job {earlier}, which this one needs, {state if state == 'failed' else 'was cancelled'}.",
                    f"Resume it, then this: resume {earlier}",
                )
                tx.execute("UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE id = ?", (now(), json.dumps(error.as_dict()), row["id"]))
                return False
            if state != "done":
                return False
        return True

    def beat(self, ids: Sequence[str]) -> dict[str, str]:
        """Renew this process's leases on ``ids``; returns what each is asked to do."""
        if not ids:
            return {}
        with self._db.transaction() as tx:
            asked = {}
            for job_id in ids:
                tx.execute("UPDATE jobs SET beat = ? WHERE state = 'running' AND pid = ? AND id = ?", (time.time(), os.getpid(), job_id))
                asked[job_id] = str(tx.execute("SELECT request FROM jobs WHERE id = ?", (job_id,)).fetchone()["request"])
            return asked

    def finish(self, job_id: str, state: State, summary: str = "", error: dict[str, Any] | None = None) -> None:
        self._db.write(
            "UPDATE jobs SET state = ?, summary = ?, error = ?, finished = ?, request = '', pid = NULL, host = NULL, beat = NULL WHERE id = ?",
            state, summary, json.dumps(error) if error else "", now(), job_id,
        )  # fmt: skip

    def ask(self, job_id: str, request: Literal["cancel", "pause"]) -> JobRecord:
        """Ask for a stop: a queued job stops at once, a running one at its next step. Raises ``JobError``."""
        with self._db.transaction() as tx:
            job = self._inside(tx, job_id)
            if job.state == "queued" or (request == "cancel" and job.state in ("paused", "interrupted")):
                state = "cancelled" if request == "cancel" else "paused"
                tx.execute("UPDATE jobs SET state = ?, finished = ? WHERE id = ?", (state, now(), job_id))
            elif job.state == "running":
                tx.execute("UPDATE jobs SET request = ? WHERE id = ?", (request, job_id))
            else:
                raise JobRefused(f"Job {job_id} is {job.state}: there is nothing to {request}.", "`jobs` shows where each one stands.")
            return self._inside(tx, job_id)

    def requeue(self, job_id: str) -> JobRecord:
        """Put a stopped job back in the queue. Raises ``JobError`` for one that is not stopped."""
        with self._db.transaction() as tx:
            job = self._inside(tx, job_id)
            if not job.resumable:
                raise JobRefused(f"Job {job_id} is {job.state}: there is nothing to resume.", "`jobs` shows where each one stands.")
            tx.execute("UPDATE jobs SET state = 'queued', request = '', finished = NULL, error = '' WHERE id = ?", (job_id,))
            return self._inside(tx, job_id)

    def stopped(self, job_id: str) -> JobRecord:
        """A job that has stopped before its end. Raises ``JobRefused`` for one that can't be changed."""
        with self._db.transaction() as tx:
            return self._stopped(tx, job_id)

    def _stopped(self, tx: sqlite3.Connection, job_id: str) -> JobRecord:
        job = self._inside(tx, job_id)
        if job.state == "done":
            raise JobRefused(f"Job {job_id} is done: nothing of it can be changed.", "Begin another with what it should be.")
        if not job.resumable:
            raise JobRefused(f"Job {job_id} is {job.state}: only a stopped job can be changed.", f"Stop it first: pause {job_id}")
        return job

    def change(self, job_id: str, command: dict[str, Any]) -> None:
        """Give a stopped job another Command (the same verb, other values). Raises ``JobRefused`` for one that is not stopped."""
        with self._db.transaction() as tx:
            self._stopped(tx, job_id)
            tx.execute("UPDATE jobs SET command = ? WHERE id = ?", (json.dumps(command), job_id))

    def move(self, job_id: str, where: Literal["up", "down", "front"]) -> JobRecord:
        """Change a queued job's place. Raises ``JobError`` for one that is not queued."""
        with self._db.transaction() as tx:
            job = self._inside(tx, job_id)
            if job.state != "queued":
                raise JobRefused(f"Job {job_id} is {job.state}: only a queued job can be moved.", "`jobs` shows where each one stands.")
            order = tx.execute("SELECT id, position FROM jobs WHERE state = 'queued' ORDER BY position").fetchall()
            at = [str(row["id"]) for row in order].index(job_id)
            if where == "front":
                tx.execute("UPDATE jobs SET position = ? WHERE id = ?", (order[0]["position"] - 1, job_id))
            elif 0 <= (other := at - 1 if where == "up" else at + 1) < len(order):
                tx.execute("UPDATE jobs SET position = ? WHERE id = ?", (order[other]["position"], job_id))
                tx.execute("UPDATE jobs SET position = ? WHERE id = ?", (job.position, order[other]["id"]))
            return self._inside(tx, job_id)

    def reap(self) -> list[str]:
        """Mark running jobs whose process is gone as interrupted; returns their ids."""
        gone: list[str] = []
        with self._db.transaction() as tx:
            for row in tx.execute("SELECT * FROM jobs WHERE state = 'running'").fetchall():
                if not _alive(row):
                    tx.execute("UPDATE jobs SET state = 'interrupted', pid = NULL, host = NULL, beat = NULL WHERE id = ?", (row["id"],))
                    gone.append(str(row["id"]))
        return gone

    def _inside(self, tx: sqlite3.Connection, job_id: str) -> JobRecord:
        row = tx.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise NotFound(f"There is no job {job_id}.", "`jobs` lists them.")
        return _record(row)


def _alive(row: sqlite3.Row) -> bool:
    if time.time() - (row["beat"] or 0) > LEASE_SECONDS:
        return False
    if row["host"] != socket.gethostname() or row["pid"] == os.getpid():
        return True
    try:
        os.kill(row["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _record(row: Any) -> JobRecord:
    values = dict(row)
    values["id"] = str(values["id"])
    values["command"] = json.loads(values["command"])
    values["after"] = json.loads(values["after"])
    values["error"] = json.loads(values["error"]) if values["error"] else {}
    return JobRecord(**values)
