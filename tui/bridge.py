"""Between the engine's threads and the screen's loop: events come over in batches, questions go over in order.

Nothing heavy is imported here: the engine is imported on a thread, once the first picture is on the screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from textual.message import Message

from engine.errors import BitternError, explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.app import App

    from engine.engine import Engine
    from engine.events import Event
    from tui.terminal import Outputs

T = TypeVar("T")
log = logging.getLogger(__name__)
PACE = 0.07
"""Seconds between two looks at what happened: about fourteen pictures a second at most."""


class Bridge:
    """Opens the engine on a thread and speaks with it. ``engine`` is ``None`` until ``Opened`` was posted."""

    class Opened(Message):
        """The engine is there."""

    @dataclass
    class Failed(Message):
        """The engine could not be opened."""

        error: BitternError

    class Wake(Message):
        """Something happened; at most one is on its way at a time."""

    def __init__(self, app: App[Any], workspace: Path | None, *, warm: bool, outputs: Outputs | None = None) -> None:
        self._app = app
        self._workspace = workspace
        self._warm = warm
        self._outputs = outputs
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._tasks: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._pending = False
        self._drained = 0.0
        self.engine: Engine | None = None

    def open(self) -> None:
        """Open the engine in the background. Call on the screen's loop."""
        threading.Thread(target=self._open, name="open-engine", daemon=True).start()
        for number in range(2):
            # Two, so that a slow look at a large dataset does not hold up completion.
            threading.Thread(target=self._serve, name=f"ask-engine-{number}", daemon=True).start()

    def _open(self) -> None:
        try:
            from engine.engine import Engine

            engine = Engine(self._workspace, everything=True, warm=self._warm)
            if self._outputs:
                self._outputs.lead_to(engine.workspace.paths.logs / "screen.log")
            engine.subscribe(self._heard)
        except Exception as error:
            log.exception("the engine could not be opened")
            self._app.post_message(self.Failed(explain(error)))
            return
        self.engine = engine
        self._app.post_message(self.Opened())
        # The first table and filter would otherwise wait for as long as their libraries take to load.
        for name in ("pyarrow", "duckdb"):
            importlib.import_module(name)
        # What is loaded by now stays loaded: the collector need not walk it again, which would hold up the screen.
        gc.freeze()

    # -- from the engine ---------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        self._events.put(event)
        if not self._pending:
            self._pending = True
            self._app.post_message(self.Wake())

    def pause_before_drain(self) -> float:
        """Seconds to wait before :meth:`drain`, so that the screen keeps its pace."""
        return max(0.0, self._drained + PACE - time.monotonic())

    def drain(self) -> list[Event]:
        """Everything that happened since the last look."""
        self._drained = time.monotonic()
        self._pending = False
        found: list[Event] = []
        with contextlib.suppress(Empty):
            while True:
                found.append(self._events.get_nowait())
        return found

    # -- to the engine -----------------------------------------------------------------------------------------

    async def call(self, function: Callable[[], T]) -> T:
        """The result of ``function``, run on a thread that may touch the disk. Raises what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tasks.put((function, future))
        return await future

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            function, future = task
            try:
                value, error = function(), None
            except BaseException as raised:  # it is raised again where the answer is awaited
                value, error = None, raised
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, value, error)
            except RuntimeError:
                return  # the screen is gone, and nobody waits for the answer

    async def close(self, wait: float = 30.0) -> None:
        """Pause what runs, each job at a checkpoint, and free everything."""
        if self.engine is not None:
            engine, self.engine = self.engine, None
            await self.call(lambda: engine.close(wait))
        self.end()

    def end(self) -> None:
        """Let the threads go."""
        self._tasks.put(None)
        self._tasks.put(None)


def _settle(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
