"""The engine's log."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def log_to(file: Path) -> None:
    """Write what the engine logs to ``file``, and nowhere else; a process has one log, the first that was asked for."""
    # A log that can't be written (a full disk) must not speak on the screen instead.
    logging.raiseExceptions = False
    root = logging.getLogger("engine")
    if not any(isinstance(handler, logging.FileHandler) for handler in root.handlers):
        handler = LogFile(file, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False


class LogFile(logging.FileHandler):
    """A log whose folder is gone, or whose disk is full, is no reason for a worker's thread to end."""

    def emit(self, record: logging.LogRecord) -> None:
        # It is opened outside of what logging itself catches.
        with suppress(OSError):
            super().emit(record)
