"""A busy server is asked again: for jobs, where nobody sits and waits for the words."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from engine.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext

T = TypeVar("T")
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try, where the server names none."""
LONGEST = 300.0
"""The longest wait that a server may ask for."""


def patiently(job: JobContext, ask: Callable[[], T]) -> T:
    """What ``ask`` returns. Where a server says that it is busy, or a connection breaks off, it is asked again, up to five times.

    Raises ``ModelError``; ``Stopped`` when that is asked for during a wait.
    """
    for wait in WAITS:
        try:
            return ask()
        except ModelError as error:
            if error.wait is None or error.wait > LONGEST:
                raise
            seconds = error.wait or wait
            job.log(f"{error.message} It is asked again in {seconds:.0f} s.", "warning")
            job.token.wait(seconds)
            job.check()
    return ask()
