"""Waiting for a job, in tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.store.jobs import JobRecord


def finish(engine: Engine, job: str, *, seconds: float = 60, state: str = "done") -> JobRecord:
    """Wait until ``job`` is over and return it; fails the test when it ends in another state."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        record = engine.job(job)
        if record.state not in ("queued", "running"):
            assert record.state == state, f"job {job} is {record.state}: {record.error}"
            return record
        time.sleep(0.02)
    raise AssertionError(f"job {job} is still {engine.job(job).state} after {seconds} s")


def done(engine: Engine, line: str, *, seconds: float = 180) -> dict[str, Any]:
    """Run a line that starts a job to its end; returns the data of its result."""
    job = engine.run(engine.parse(line)).data["job"]
    finish(engine, job, seconds=seconds)
    return engine.result(job).data
