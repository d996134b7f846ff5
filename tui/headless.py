"""Running a Command with no screen: follow its job or its stream, then show the result."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine import events
from engine.commands.base import Work
from engine.errors import BitternError, JobError, from_dict
from engine.results import Result
from tui.cli import DONE, FAILED, INTERRUPTED, Options, open_engine, print_json, show_error
from tui.printed import Progress, show
from tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.commands.base import Command
    from engine.engine import Engine

OVER = ("done", "failed", "cancelled", "paused", "interrupted")


def run_command(options: Options) -> int:
    """Answer one Command, or follow the jobs that it starts to their ends."""
    engine = open_engine(options, working=not options.detach)
    try:
        command = engine.parse_words(options.words)
        with hearing(engine) as heard:
            result = _answer(engine, command, heard, options)
            started = _jobs_of(result)
            if not started:
                show(result, options)
                return DONE
            if options.detach:
                detach(engine)
                show(result, options)
                return DONE
            if command.verb == "serve":
                from tui.serving import stay

                return stay(engine, started[0], heard, options)
            if isinstance(command, Work) or command.verb in ("setup", "resume", "sql", "versus"):
                return follow(engine, started, heard, options)
            show(result, options)
            return DONE
    finally:
        engine.close()


def _jobs_of(result: Result) -> list[str]:
    found = result.data.get("jobs", [result.data["job"]] if "job" in result.data else [])
    return [job for job in found if isinstance(job, str)]


def _answer(engine: Engine, command: Command, heard: queue.SimpleQueue[events.Event], options: Options) -> Result:
    """The Command's answer; a streamed one is written as it comes. Raises ``BitternError``."""
    ticket = engine.dispatch(command, _secret(command) if command.asks else "")
    wrote = False
    try:
        while True:
            try:
                event = heard.get(timeout=0.2)
            except queue.Empty:
                continue
            if event.job != ticket:
                continue
            if isinstance(event, events.TokenDelta) and command.streams and not options.json:
                wrote = True
                sys.stdout.write(clean(event.text))
                sys.stdout.flush()
            elif isinstance(event, events.CallFinished):
                break
    except KeyboardInterrupt:
        engine.stop(ticket)
        raise
    finally:
        if wrote:
            print()
    if event.error:
        raise from_dict(event.error)
    return Result.from_dict(event.result or {})


def _secret(command: Command) -> str:
    """What must not stand on a line: asked for unseen in a terminal, else read from the pipe (and no more than a line)."""
    import getpass

    if sys.stdin is None or not sys.stdin.isatty():
        return (sys.stdin.readline() if sys.stdin else "").strip()
    try:
        return getpass.getpass(command.asking).strip()
    except EOFError:
        return ""


@contextmanager
def hearing(engine: Engine) -> Iterator[queue.SimpleQueue[events.Event]]:
    """A queue of everything the engine says meanwhile."""
    heard: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
    unsubscribe = engine.subscribe(heard.put)
    try:
        yield heard
    finally:
        unsubscribe()


def follow(engine: Engine, jobs: list[str], heard: queue.SimpleQueue[events.Event], options: Options) -> int:
    """Show what the jobs say until the last is over; returns the exit status.

    Ctrl+C pauses what runs here (a checkpoint is written) and leaves the rest queued.
    """
    screen = Progress(options)
    ahead = ""
    try:
        while any(engine.job(job).state not in OVER for job in jobs):
            try:
                event = heard.get(timeout=0.2)
            except queue.Empty:
                if (found := _ahead(engine, jobs)) != ahead:
                    ahead = found
                    screen.note(ahead)
                continue
            if event.job in jobs:
                screen.tell(event, engine.job(event.job).title)
        while not heard.empty():
            event = heard.get()
            if event.job in jobs:
                screen.tell(event, engine.job(event.job).title)
    except KeyboardInterrupt:
        screen.clear()
        print("Stopping at the next step; what is done is kept …", file=sys.stderr)
        for job in jobs:
            if engine.job(job).state in ("running", "queued"):
                engine.workspace.jobs.ask(job, "pause")
        engine.close()
        for job in jobs:
            print(f"Job {job} is {engine.job(job).state}. Go on with: bittern resume {job}", file=sys.stderr)
        return INTERRUPTED
    finally:
        screen.clear()
    return _conclude(engine, jobs, options)


def _ahead(engine: Engine, jobs: list[str]) -> str:
    """What the first of these waits for, where that is another process of this workspace; empty where it runs."""
    mine = next((record for job in jobs if (record := engine.job(job)).state not in OVER), None)
    if mine is None or mine.state != "queued":
        return ""
    running = [record for record in engine.jobs() if record.slot == mine.slot and record.state == "running" and record.id not in jobs]
    return f"{mine.title}: queued as job {mine.id}, behind job {running[0].id} ({running[0].title})." if running else ""


def _conclude(engine: Engine, jobs: list[str], options: Options) -> int:
    status = DONE
    for job in jobs:
        record = engine.job(job)
        if record.state == "done":
            result = Result.from_dict(json.loads((engine.workspace.paths.job(job) / "result.json").read_text("utf-8")))
            show(Result(result.summary, {"job": job, "state": "done", **result.data}, result.table, result.body), options)
            continue
        status = FAILED
        if record.state == "failed":
            error = JobError(record.error.get("message", ""), record.error.get("hint", ""), from_dict(record.error).repairs)
            error.title = record.error.get("title", error.title)
            show_error(error, as_json=options.json)
        else:
            show_error(JobError(f"Job {job} is {record.state}.", f"Go on with: bittern resume {job}"), as_json=options.json)
    return status


def detach(engine: Engine) -> None:
    """Start a worker that outlives this process and this terminal."""
    root = engine.workspace.paths.root
    with (root / "logs" / "work.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "tui", "--workspace", str(root), "work"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=os.environ.copy(),
        )  # fmt: skip


def work(options: Options) -> int:
    """Run what is queued or was interrupted until nothing is left; paused jobs that carry a request to go on, too."""
    engine = open_engine(options, everything=True, warm=True)
    try:
        for record in engine.jobs():
            if record.state == "interrupted":
                engine.queue.resume(record.id)
        with hearing(engine) as heard:
            screen = Progress(options)
            while any(record.state in ("queued", "running") for record in engine.jobs()):
                try:
                    event = heard.get(timeout=0.5)
                except queue.Empty:
                    continue
                if event.job and not isinstance(event, events.CatalogChanged):
                    screen.tell(event, event.job)
        return DONE
    except KeyboardInterrupt:
        print("Pausing what runs …", file=sys.stderr)
        return INTERRUPTED
    finally:
        engine.close()


def tour(options: Options) -> int:
    """Walk the main job, telling each step and its result in plain words."""
    from engine.tour import steps

    engine = open_engine(options, everything=True, warm=True)
    began = time.monotonic()
    try:
        for step in steps(engine):
            if options.json:
                print_json({"step": step.number, "title": step.title, "says": step.says, "seconds": round(time.monotonic() - began, 1), **step.data})
            else:
                print(clean(step.says) if step.says else f"\n{step.number}. {clean(step.title)}", flush=True)
        return DONE
    except BitternError as error:
        show_error(error, as_json=options.json)
        return FAILED
    finally:
        engine.close()
