"""What a server has done: requests, latency, tokens, and a line for each request (never its content)."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST = 1000
"""Requests that the percentiles are of."""


@dataclass(slots=True)
class Request:
    """One request as it is written down. ``status`` 499: the client left before the end. ``seconds`` from the first
    byte read to the last one written; ``tokens`` are those the model wrote, as far as the answer says them."""

    method: str
    path: str
    status: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def line(self) -> str:
        """``POST /v1/chat/completions 200 812 ms 64 tokens``."""
        said = f" {self.tokens} tokens" if self.tokens else ""
        return f"{self.method} {self.path} {self.status} {1000 * self.seconds:.0f} ms{said}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals since the start. ``p50`` and ``p95``: seconds of the last ``LAST`` requests that reached the model."""

    requests: int
    failed: int
    tokens: int
    active: int
    p50: float
    p95: float


class Figures:
    """Counted by the threads that answer, read by the job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._failed = self._tokens = self._active = 0
        self._seconds: deque[float] = deque(maxlen=LAST)
        self._lines: deque[str] = deque(maxlen=10_000)

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[Request]:
        """A request from its first byte to its last; what is put into it meanwhile is kept."""
        found = Request(method, path)
        began = time.monotonic()
        with self._lock:
            self._active += 1
        try:
            yield found
        finally:
            found.seconds = time.monotonic() - began
            with self._lock:
                self._active -= 1
                self._requests += 1
                self._failed += found.status >= 400
                if found.method == "POST" and found.status == 200:
                    self._seconds.append(found.seconds)
                self._lines.append(found.line())

    def piece(self, count: int = 1) -> None:
        """Tokens were written just now: counted while they come, so that the rate is of this moment."""
        with self._lock:
            self._tokens += count

    def snapshot(self) -> Snapshot:
        with self._lock:
            ordered = sorted(self._seconds)
            return Snapshot(self._requests, self._failed, self._tokens, self._active, _share(ordered, 0.5), _share(ordered, 0.95))

    def lines(self) -> list[str]:
        """The requests that ended since the last look."""
        with self._lock:
            found = list(self._lines)
            self._lines.clear()
            return found


def _share(ordered: list[float], share: float) -> float:
    """The value that ``share`` of them do not exceed (nearest rank); 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
