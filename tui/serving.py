"""``bittern serve`` in a shell: it stays in the foreground with a line of figures, and Ctrl+C stops it."""

from __future__ import annotations

import queue
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import BitternError
from tui.headless import OVER, follow
from tui.printed import Progress
from tui.text import clean

if TYPE_CHECKING:
    from engine import events
    from engine.engine import Engine
    from tui.cli import Options


def stay(engine: Engine, job: str, heard: queue.SimpleQueue[events.Event], options: Options) -> int:
    """Follow the server until it ends; returns the exit status. Stopped by Ctrl+C it has done what it was asked to."""
    screen = Progress(options)
    title = engine.job(job).title
    told = options.quiet or options.json
    try:
        while engine.job(job).state not in OVER:
            with suppress(queue.Empty):
                event = heard.get(timeout=0.2)
                if event.job == job:
                    screen.tell(event, title)
            if not told and (place := _place(engine, job)):
                screen.clear()
                _tell_token(place)
                told = True
    except KeyboardInterrupt:
        screen.clear()
        print("Stopping the server …", file=sys.stderr)
        if engine.job(job).state in ("running", "queued"):
            engine.workspace.jobs.ask(job, "cancel")
            engine.queue.poke()
    screen.clear()
    return follow(engine, [job], heard, options)


def _place(engine: Engine, job: str) -> dict[str, str] | None:
    """Where it listens and where its token is, once it does."""
    try:
        return engine.run(engine.parse_words(["servers", job])).data
    except BitternError:
        return None


def _tell_token(place: dict[str, str]) -> None:
    """Once, to the person at the terminal: what is written into a pipe may end in a log."""
    if place["token_file"] and sys.stderr.isatty():
        print(f"Token: {clean(Path(place['token_file']).read_text('utf-8'))}", file=sys.stderr)
