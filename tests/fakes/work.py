"""Small real jobs for testing the queue: they count, and can be told to fail, to crash or to dawdle."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any, ClassVar, Literal

from engine.commands.base import Field, Work
from engine.errors import DataError
from engine.jobs.context import JobContext
from engine.paths import write_json
from engine.results import Result


class Count(Work):
    """Count to `upto`, a checkpoint at every step."""

    verb = "count"
    words = ("upto",)
    slot: ClassVar[Literal["compute", "io"]] = "compute"
    upto: int = Field(10, ge=0, description="Where to stop")
    pause: float = Field(0.0, description="Seconds a step")
    end: Literal["well", "error", "bug", "crash"] = Field("well", description="How it ends")

    def work(self, job: JobContext) -> Result:
        state = job.folder / "state.json"
        done = json.loads(state.read_text())["done"] if job.resumed and state.is_file() else 0
        while done < self.upto:
            job.check()
            time.sleep(self.pause)
            done += 1
            write_json(state, {"done": done})
            job.metric(done, "value", done * done)
            job.progress(done, self.upto, "steps")
            job.checkpoint(done, state)
        print("native noise on stdout")
        if self.end == "error":
            raise DataError("row 3 is bad.", "Mend row 3.")
        if self.end == "bug":
            raise ZeroDivisionError("a bug")
        if self.end == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return Result(f"counted to {done}", {"done": done, "pid": os.getpid(), "nice": os.nice(0)})


def restore(verb: str, values: dict[str, Any]) -> Work:
    assert verb == "count"
    return Count.model_validate(values)
