"""Runs one job's work: in the worker thread, or in a low-priority child that the thread drives."""

from __future__ import annotations

import importlib
import logging
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import events
from engine.devices import peak_memory, prepare_environment, step_back
from engine.errors import BitternError, JobError, Stopped, explain, from_dict
from engine.jobs.context import CancelToken, JobContext
from engine.jobs.process import Channel, become_child, describe_exit, listen, start
from engine.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from engine.events import Event
    from engine.jobs.context import Runnable, Where
    from engine.store.jobs import JobRecord
    from engine.store.workspace import Workspace

log = logging.getLogger(__name__)
CANCEL_GRACE = 20.0
"""Seconds a cancelled child is given to stop by itself before it is ended."""


def restore(loader: str, record: JobRecord) -> Runnable:
    """The Command of a stored job, by the function ``module:name`` that the engine chose."""
    module, name = loader.split(":")
    request: Runnable = getattr(importlib.import_module(module), name)(record.verb, record.command)
    return request


def run(loader: str, record: JobRecord, workspace: Workspace, emit: Callable[[Event], None], token: CancelToken) -> Result:
    """Do the job's work where its Command and the settings say. Raises ``Stopped`` or ``BitternError``."""
    request = restore(loader, record)
    if request.where == "thread" or workspace.settings.runner == "thread":
        return request.work(JobContext(record.id, workspace, emit, token, resumed=record.attempts > 1))
    return _run_in_child(loader, record, request.where, workspace, emit, token)


def _run_in_child(loader: str, record: JobRecord, where: Where, workspace: Workspace, emit: Callable[[Event], None], token: CancelToken) -> Result:
    process, channel = start(child_main, (loader, str(workspace.paths.root), record.id), where)
    asked = ""
    asked_at = 0.0
    try:
        while True:
            if token.asked and token.how != asked:
                asked, asked_at = token.how, time.monotonic()
                with suppress(OSError):
                    channel.send({"stop": asked})
            if asked == "cancel" and time.monotonic() - asked_at > CANCEL_GRACE:
                raise Stopped("cancel")
            message = channel.receive(timeout=0.1)
            if message is None:
                continue
            if "event" in message:
                emit(events.from_dict(message["event"]))
            elif "result" in message:
                return Result.from_dict(message["result"])
            elif "stopped" in message:
                raise Stopped(message["stopped"])
            elif "error" in message:
                raise from_dict(message["error"])
    except EOFError:
        process.join(10)
        if asked == "cancel":
            raise Stopped("cancel") from None
        raise JobError(
            f"“{record.title}” stopped: {describe_exit(process.exitcode)}.",
            f"What it finished is kept. `resume {record.id}` goes on from the last checkpoint; output: {workspace.paths.job(record.id) / 'output.log'}",
        ) from None
    finally:
        process.join(2)
        if process.is_alive():
            process.kill()
        channel.close()


def child_main(connection: Connection, loader: str, root: str, job_id: str) -> None:
    """The child's whole life: do the job's work, say everything over the pipe, end."""
    from engine.store.workspace import Workspace

    prepare_environment()
    channel = Channel(connection)
    try:
        workspace = Workspace(Path(root))
        become_child(workspace.paths.job(job_id) / "output.log")
    except BaseException as error:  # A full disk, mostly: it has to be told by the pipe, as there is no log yet.
        channel.send({"error": explain(error).as_dict()})
        return
    step_back(workspace.settings.niceness)
    token = CancelToken()

    def heard(message: dict[str, Any]) -> None:
        if how := message.get("stop"):
            token.ask(how)

    listen(channel, heard)

    def emit(event: Event) -> None:
        channel.send({"event": events.to_dict(event)})

    record = workspace.jobs.get(job_id)
    try:
        result = restore(loader, record).work(JobContext(job_id, workspace, emit, token, resumed=record.attempts > 1))
        message: dict[str, Any] = {"result": result.as_dict()}
        with suppress(Exception):  # a figure for next time: a job does not fail by it
            workspace.peaks.measure(job_id, peak_memory())
            if peak := workspace.peaks.find(job_id):
                emit(events.JobLog(text=f"Memory: {peak.says()}."))
    except Stopped as stopped:
        message = {"stopped": stopped.how}
    except BaseException as error:
        message = {"error": explain(error).as_dict()}
        if not isinstance(error, BitternError):
            with suppress(OSError):  # The log may be on the disk that is full.
                traceback.print_exc()
    channel.send(message)
