"""Commands that steer a training: a checkpoint now, the end with the best weights, another learning rate, other steps."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.commands.registry import restore
from engine.errors import JobRefused
from engine.events import JobLog, now
from engine.jobs.journal import Journal
from engine.paths import write_json
from engine.results import Result

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store.jobs import JobRecord

WISH = "wish.json"
"""Where a running training looks after each step (``engine.training.watch.WISH``)."""


def _wish(desk: Desk, job: str, wish: str) -> JobRecord:
    record = desk.workspace.jobs.get(job)
    if record.verb != "train":
        raise JobRefused(f"Job {record.id} ({record.title}) is no training.", "`jobs` lists them.")
    if record.state != "running":
        way = {"done": f"`checkpoints {record.id}` lists what is left of it.", "queued": "It begins when the jobs before it are over."}
        raise JobRefused(
            f"Job {record.id} is {record.state}: it is not training now.", way.get(record.state, f"Go on with it first: resume {record.id}")
        )
    write_json(desk.workspace.paths.job(job) / WISH, {"wish": wish})
    return record


class Checkpoint(Now):
    """Save a running training after the step it is in; it goes on at once."""

    verb = "checkpoint"
    effect = "write"
    words = ("job",)
    examples = ("checkpoint 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")

    def run(self, desk: Desk) -> Result:
        record = _wish(desk, self.job, "checkpoint")
        return Result(f"Job {record.id} writes a checkpoint after this step.", {"job": record.id, "wish": "checkpoint"})


class Finish(Now):
    """End a running training after the step it is in, and keep its best weights as the trained model.

    It is measured once more. The best are those of the lowest held-out loss; a training of every weight without
    --patience saves no best on the way, and keeps those it has.
    """

    verb = "finish"
    effect = "write"
    words = ("job",)
    examples = ("finish 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")

    def run(self, desk: Desk) -> Result:
        record = _wish(desk, self.job, "finish")
        return Result(f"Job {record.id} is measured after this step, ends, and keeps the best.", {"job": record.id, "wish": "finish"})


def change(desk: Desk, job: str, changes: dict[str, Any]) -> None:
    """Give a stopped training another learning rate or number of steps, and write that down. Raises ``JobRefused``."""
    record = desk.workspace.jobs.get(job)
    if record.verb != "train":
        raise JobRefused(f"Job {record.id} ({record.title}) is no training: it has no learning rate and no steps.", f"Go on with: resume {record.id}")
    desk.workspace.jobs.stopped(job)
    folder = desk.workspace.paths.job(job)
    done = last_step(folder)
    if changes.get("max_steps", done + 1) <= done:
        raise JobRefused(
            f"Job {record.id} has done {done} steps already.", f"Give more in all, for example: resume {record.id} --max-steps {done * 2}"
        )
    command = restore(record.verb, {**record.command, **changes}).model_dump(mode="json")
    desk.workspace.jobs.change(job, command)
    kept: dict[str, Any] = json.loads((folder / "job.json").read_text("utf-8"))
    told = {name: [record.command.get(name), value] for name, value in changes.items()}
    write_json(folder / "job.json", {**kept, "command": command, "changes": [*kept.get("changes", []), {"at": now(), "step": done, **told}]})
    words = ", ".join(f"{name.replace('_', ' ')} {'default' if old is None else old} → {new}" for name, (old, new) in told.items())
    with closing(Journal(folder, record.id)) as journal:
        desk.publish(journal.write(JobLog(text=f"Changed from step {done} on: {words}. The schedule goes on from there in its new shape.")))


def last_step(folder: Path) -> int:
    """The step of the last whole checkpoint in a job's folder; 0 for none."""
    return max((int(file.parent.name.rpartition("-")[2]) for file in folder.glob("checkpoints/checkpoint-*/complete.json")), default=0)
