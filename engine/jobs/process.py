"""Child processes: how one is started, how it talks (JSON over a pipe), and how it dies with its parent."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from engine.jobs.context import Where

_warm_lock = threading.Lock()


def warm_up(log: Path) -> None:
    """Start the fork server and let it load the heavy libraries, so that the first job need not wait for them.

    Without this call the server starts bare, and each child loads what it needs: right for a single command.
    """
    if sys.platform == "win32":
        return
    with _warm_lock:
        os.environ["BITTERN_WARM_LOG"] = str(log)
        multiprocessing.set_forkserver_preload(["engine.jobs.warm"])
        from multiprocessing import forkserver

        _track()
        forkserver.ensure_running()


def _track() -> None:
    """Start multiprocessing's resource tracker with the real standard error: a screen's stand-in has no descriptor,
    and the tracker would refuse to start."""
    from multiprocessing import resource_tracker

    with contextlib.redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()


class Channel:
    """One end of the pipe. ``send`` may be called from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Raises ``OSError`` when the other side is gone."""
        data = json.dumps(message, ensure_ascii=False).encode()
        with self._lock:
            self._connection.send_bytes(data)

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message, or ``None`` after ``timeout`` seconds. Raises ``EOFError`` when the other side is gone."""
        try:
            if timeout is not None and not self._connection.poll(timeout):
                return None
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except OSError:
            raise EOFError from None
        return message

    def close(self) -> None:
        self._connection.close()


def start(target: Callable[..., None], arguments: tuple[Any, ...], where: Where) -> tuple[BaseProcess, Channel]:
    """Start ``target(channel_connection, *arguments)`` in a child; ``warm`` forks from the warm server."""
    method = "spawn" if where == "fresh" or sys.platform == "win32" else "forkserver"
    context = multiprocessing.get_context(method)
    _track()
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)  # type: ignore[attr-defined]
    process.start()
    theirs.close()
    return process, Channel(ours)


def become_child(log: Path) -> None:
    """In the child, first of all: send what libraries print to a file, never to the screen, and survive Ctrl+C.

    Ctrl+C reaches every process of a terminal; the parent decides what it means and tells the child.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    faulthandler.enable(file=sys.__stderr__ or 2)


def listen(channel: Channel, heard: Callable[[dict[str, Any]], None]) -> None:
    """In the child: hand every message to ``heard`` on a thread; end the process when the parent is gone."""

    def loop() -> None:
        while True:
            try:
                message = channel.receive()
            except EOFError:
                # The parent was killed. Whatever is not in a checkpoint yet is done again by the next attempt.
                os._exit(3)
            if message is not None:
                heard(message)

    threading.Thread(target=loop, name="listen", daemon=True).start()


def describe_exit(code: int | None) -> str:
    """A process's exit code in words."""
    if code == -9:
        return "its process was killed (signal 9): most likely memory ran out"
    if code is not None and code < 0:
        return f"its process crashed (signal {-code})"
    return f"its process ended without a word (exit code {code})"
