"""A helper process that holds something warm (a model, an encoder with its indexes) and answers calls.

The screen's own process never imports torch: whatever needs it lives behind a ``Host``. One call at a time;
a method that returns an iterator is streamed. Everything that crosses is JSON.
"""

from __future__ import annotations

import importlib
import queue
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment
from engine.errors import BitternError, ModelError, explain, from_dict
from engine.jobs.context import CancelToken
from engine.jobs.process import Channel, become_child, describe_exit, listen, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from engine.jobs.context import Where


class Host:
    """Calls the methods of ``factory(**config)`` in a child process; each takes ``cancel`` and JSON keywords.

    With ``inside`` the object lives in this process (a single command, the ``thread`` runner). ``where``: forked from the
    warm server, which has torch loaded, or a fresh process.
    """

    def __init__(self, factory: str, config: dict[str, Any], log: Path, *, inside: bool = False, where: Where = "warm") -> None:
        self._factory, self._config, self._log, self.inside, self._where = factory, config, log, inside, where
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._channel: Channel | None = None
        self._object: Any = None
        self._made = False

    @property
    def built(self) -> bool:
        """Whether the object is there: it has been made, and its process has not ended since."""
        return self._object is not None or self._made

    def call(self, method: str, cancel: CancelToken | None = None, **values: Any) -> Any:
        """The method's answer. Raises what it raises, or ``ModelError`` when its process died."""
        answers = list(self.stream(method, cancel, **values))
        return answers[-1] if answers else None

    def stream(self, method: str, cancel: CancelToken | None = None, **values: Any) -> Iterator[Any]:
        """The method's items as they come. ``cancel`` is passed on; the method ends its stream early then."""
        cancel = cancel or CancelToken()
        with self._lock:
            if self.inside:
                self._object = self._object or _build(self._factory, self._config)
                yield from _items(getattr(self._object, method)(cancel=cancel, **values))
                return
            yield from self._over_the_pipe(method, cancel, values)

    @property
    def process_id(self) -> int | None:
        """The child's process, once it was started."""
        process = self._process
        return process.pid if process is not None else None

    def close(self) -> None:
        """End the process and free what it holds."""
        process, channel, self._process, self._channel = self._process, self._channel, None, None
        self._object, self._made = None, False
        if channel is not None:
            channel.close()
        if process is not None:
            process.join(1)
            if process.is_alive():
                process.kill()

    def _over_the_pipe(self, method: str, cancel: CancelToken, values: dict[str, Any]) -> Iterator[Any]:
        channel = self._ready()
        told = finished = False
        try:
            channel.send({"method": method, "values": values})
            while True:
                if cancel.asked and not told:
                    told = True
                    channel.send({"cancel": cancel.how})
                message = channel.receive(timeout=0.05)
                if message is None:
                    continue
                if "built" in message:
                    self._made = True
                elif "item" in message:
                    yield message["item"]
                elif "error" in message:
                    finished = True
                    if not self._made:
                        self.close()  # A process that could not make its object holds nothing worth keeping.
                    raise from_dict(message["error"])
                elif "end" in message:
                    finished = True
                    return
        except (EOFError, OSError):
            finished = True
            if process := self._process:
                process.join(1)  # The pipe closes a moment before the process ends.
            code = process.exitcode if process else None
            self.close()
            less = " A smaller model needs less memory." if code == -9 else f" What it said last is in {self._log}."
            raise ModelError(f"The model's process is gone: {describe_exit(code)}.", f"Try again: it is loaded afresh.{less}") from None
        finally:
            if not finished:
                # The consumer left in the middle of a stream: read it to its end, so that the next call starts clean.
                self._drain(channel, told)

    def _drain(self, channel: Channel, told: bool) -> None:
        with suppress(EOFError, OSError):
            if not told:
                channel.send({"cancel": "cancel"})
            while True:
                message = channel.receive(timeout=30)
                if message is None or "end" in message or "error" in message:
                    return

    def _ready(self) -> Channel:
        if self._process is None or not self._process.is_alive() or self._channel is None:
            self.close()
            self._process, self._channel = start(host_main, (self._factory, self._config, str(self._log)), self._where)
        return self._channel


def _build(factory: str, config: dict[str, Any]) -> Any:
    module, name = factory.split(":")
    return getattr(importlib.import_module(module), name)(**config)


def _items(answer: Any) -> Iterator[Any]:
    if hasattr(answer, "__next__"):
        yield from answer
    else:
        yield answer


def host_main(connection: Connection, factory: str, config: dict[str, Any], log: str) -> None:
    """The helper's whole life."""
    prepare_environment()
    become_child(Path(log))
    channel = Channel(connection)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    current = [CancelToken()]

    def heard(message: dict[str, Any]) -> None:
        if "cancel" in message:
            current[0].ask("cancel")
        else:
            # A new token before the request is queued: a cancel that follows it must find it.
            message["token"] = current[0] = CancelToken()
            requests.put(message)

    listen(channel, heard)
    held: Any = None
    while True:
        request = requests.get()
        try:
            if held is None:
                held = _build(factory, config)
                channel.send({"built": True})
            for item in _items(getattr(held, request["method"])(cancel=request["token"], **request["values"])):
                channel.send({"item": item})
            channel.send({"end": True})
        except Exception as error:
            if not isinstance(error, BitternError):
                traceback.print_exc()
            channel.send({"error": explain(error).as_dict()})
