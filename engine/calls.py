"""Commands that are being answered, each on a thread of its own."""

from __future__ import annotations

import itertools
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from engine.errors import BitternError, Stopped, explain
from engine.events import CallFinished
from engine.jobs.context import CancelToken
from engine.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands.base import Command
    from engine.events import Event

log = logging.getLogger(__name__)
GRACE = 2.0
"""Seconds that a Command which is being answered is given to stop at the end."""


class Run(Protocol):
    def __call__(self, command: Command, emit: Callable[[Event], None], cancel: CancelToken, secret: str) -> Result: ...


class Calls:
    """Every method may be called from any thread. ``run`` answers a Command, ``publish`` tells what comes of it."""

    def __init__(self, run: Run, publish: Callable[[Event], None]) -> None:
        self._run, self._publish = run, publish
        self._tickets = itertools.count(1)
        self._tokens: dict[str, CancelToken] = {}
        self._threads: list[threading.Thread] = []

    def begin(self, command: Command, secret: str) -> str:
        """Answer a Command; returns its ticket, which is the ``job`` of its events. The last one is ``CallFinished``."""
        ticket = f"call-{next(self._tickets)}"
        token = self._tokens[ticket] = CancelToken()

        def emit(event: Event) -> None:
            self._publish(replace(event, job=ticket))

        def answer() -> None:
            try:
                emit(CallFinished(verb=command.verb, result=self._run(command, emit, token, secret).as_dict()))
            except Stopped:
                emit(CallFinished(verb=command.verb, result=Result("Stopped.").as_dict()))
            except BaseException as error:
                if not isinstance(error, BitternError):
                    log.exception("%s failed", command.verb)
                emit(CallFinished(verb=command.verb, error=explain(error).as_dict()))
            finally:
                del self._tokens[ticket]

        thread = threading.Thread(target=answer, name=ticket, daemon=True)
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()
        return ticket

    def stop(self, ticket: str) -> None:
        """Ask a call to stop; one that is over is no error."""
        if token := self._tokens.get(ticket):
            token.ask("cancel")

    def close(self) -> None:
        """Ask all to stop, and wait a little for each."""
        for token in list(self._tokens.values()):
            token.ask("cancel")
        # A thread that is still inside a native library when the interpreter ends takes the process down with it.
        for thread in self._threads:
            thread.join(GRACE)
