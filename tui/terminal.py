"""Native libraries print to file descriptors 1 and 2, past Textual: while the screen is up these lead to a log."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


TERMINALS = ("kitty", "wezterm", "iterm", "ghostty", "konsole", "foot", "mlterm", "contour", "rio")
"""Terminals known to draw pictures; each is still asked."""


def ask_what_it_draws() -> None:
    """Let textual-image ask the terminal whether it draws pictures, where it may: it can't be asked once the screen is up.

    Where the extra ``images`` is not installed, or no picture can be drawn, half cells serve.
    """
    names = " ".join(os.environ.get(name, "") for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL")).lower()
    known = any(name in names for name in TERMINALS) or any(os.environ.get(name) for name in ("KITTY_WINDOW_ID", "KONSOLE_VERSION"))
    if not known or not sys.stdout.isatty() or "TMUX" in os.environ:
        return
    try:
        importlib.import_module("textual_image.widget")
    except Exception:
        # Not installed, or the terminal answered nonsense.
        sys.modules.pop("textual_image.widget", None)


class Outputs:
    """Where descriptors 1 and 2 lead to now."""

    def __init__(self, *, active: bool) -> None:
        self._active = active

    def lead_to(self, log: Path) -> None:
        """Send what is printed from now on to ``log``."""
        if not self._active:
            return
        with suppress(OSError):
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os.close(handle)


@contextmanager
def aside() -> Iterator[Outputs]:
    """Give Textual duplicates of the terminal's descriptors and send 1 and 2 elsewhere; put all back at the end.

    Textual's driver writes to ``sys.__stderr__`` and asks ``sys.__stdout__`` for the size. On Windows it talks to
    the console itself, so nothing is moved there.
    """
    if sys.platform == "win32":
        yield Outputs(active=False)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    terminal = 2 if os.isatty(2) else 1
    files = open(os.dup(1), "w", encoding="utf-8"), open(os.dup(terminal), "w", encoding="utf-8")  # noqa: PTH123, SIM115
    before = sys.__stdout__, sys.__stderr__
    sys.__stdout__, sys.__stderr__ = files  # type: ignore[misc]
    try:
        with tempfile.TemporaryFile() as scratch:
            os.dup2(scratch.fileno(), 1)
            os.dup2(scratch.fileno(), 2)
        yield Outputs(active=True)
    finally:
        with suppress(ValueError, OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for handle in kept:
            os.close(handle)
        for file in files:
            with suppress(OSError):
                file.close()
