"""The engines behind the door. Each listens where nobody else can reach it, or answers in this process."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

CHAT = ("/v1/chat/completions", "/v1/completions")
"""The paths of a model that writes."""
ANSWER_SECONDS = 600.0
"""The longest silence of an engine before the request is given up."""


class Upstream(Protocol):
    """What the door hands requests to: a :class:`Remote` or a :class:`Here`. ``paths`` it answers; ``engine`` in words;
    ``model_id`` is what it calls the model itself, which the door puts in the place of the model's name here; ``note`` is
    a line for the person."""

    engine: str
    paths: tuple[str, ...]
    model_id: str
    note: str

    def check(self) -> None:
        """Raises ``ModelError`` when the engine is gone."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Here(Upstream, Protocol):
    """An engine that lives in this process."""

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The whole answer. Raises ``ValueError`` for a request that it can't read."""
        ...


@runtime_checkable
class Remote(Upstream, Protocol):
    """An engine that listens somewhere."""

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, not opened yet."""
        ...

    def headers(self) -> dict[str, str]:
        """What the engine wants to see beside the request: its own key."""
        ...


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def wait_until(healthy: Callable[[], bool], check: Callable[[], None], pause: Callable[[float], bool]) -> bool:
    """Look every fifth of a second until the engine answers; False when ``pause`` says that nobody waits any more.

    ``check`` raises ``ModelError`` for an engine that is gone.
    """
    while not healthy():
        check()
        if pause(0.2):
            return False
    return True


def answers(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bool:
    """Whether an engine answers ``GET path`` with 200."""
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
