"""Commands about a training's checkpoints: list them, remove some, and hear how each would answer."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.data.datasets import size
from engine.errors import JobRefused
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.jobs import JobRecord
    from engine.store.workspace import Workspace
    from engine.training.kept import Saved

DONE = "A training removes its checkpoints when it is done: train with --keep-checkpoints 5 to keep some."


class Checkpoints(Now):
    """List the checkpoints of a training: step, held-out loss, size. --keep and --remove delete some of them.

    The last one is what a stopped training goes on from: it stays unless the training is done. --keep 3 keeps the last
    three, and the one with the lowest held-out loss. Without --yes it only says what would go.
    """

    verb = "checkpoints"
    effect = "write"
    words = ("job",)
    examples = ("checkpoints 3", "checkpoints 3 --keep 2 --yes", "checkpoints 3 --remove 40 --yes")
    completes = {"job": "jobs"}

    job: str = Field(description="The number of a training")
    keep: int | None = Field(None, ge=0, description="Keep so many of the last ones, and the best")
    remove: int | None = Field(None, ge=1, description="Remove the checkpoint of this step")
    yes: bool = Field(False, description="Really remove them")

    def run(self, desk: Desk) -> Result:
        record = training(desk.workspace, self.job)
        found = on_disk(desk.workspace, record)
        going = self._going(record, found)
        if going and record.state in ("running", "queued"):
            raise JobRefused(f"Job {record.id} is {record.state}: it looks after its own checkpoints.", f"Pause it first: pause {record.id}")
        rows = [
            [str(one.step), one.says, size(one.bytes), "" if one.whole else "torn: it can't be used",
             ("removed" if self.yes else "would go") if one in going else ""]
            for one in found
        ]  # fmt: skip
        if self.yes:
            for one in going:
                shutil.rmtree(one.folder, ignore_errors=True)
        freed = sum(one.bytes for one in going)
        data = {
            "job": record.id, "removed": [one.step for one in going] if self.yes else [], "would_remove": [one.step for one in going], "bytes": freed,
            "checkpoints": [{"step": one.step, "eval_loss": one.loss, "measured": one.measured, "bytes": one.bytes, "whole": one.whole} for one in found],
        }  # fmt: skip
        if not found:
            return Result(f"Job {record.id} has no checkpoints. {DONE}", data)
        said = f"{len(found)} checkpoints of job {record.id}, {size(sum(one.bytes for one in found))}."
        if going:
            said += f" {len(going)} removed, {size(freed)} freed." if self.yes else f" {len(going)} would go, {size(freed)}: add --yes."
        return Result(said, data, Table(["step", "held-out loss", "size", "", ""], rows))

    def _going(self, record: JobRecord, found: list[Saved]) -> list[Saved]:
        last = max((one.step for one in found if one.whole), default=-1)
        if self.remove is not None:
            if self.remove not in [one.step for one in found]:
                raise JobRefused(f"Job {record.id} has no checkpoint of step {self.remove}.", f"It has: {', '.join(str(one.step) for one in found)}.")
            if self.remove == last and record.state != "done":
                raise JobRefused(f"Step {last} is what job {record.id} goes on from.", f"Let it end first (resume {record.id}), or forget the job.")
            return [one for one in found if one.step == self.remove]
        if self.keep is None:
            return []
        measured = [one for one in found if one.whole and one.loss is not None]
        best = min(measured, key=lambda one: one.loss or 0.0, default=None)
        stays = found[max(0, len(found) - max(self.keep, 0 if record.state == "done" else 1)) :]
        return [one for one in found if one not in stays and (one is not best or self.keep == 0)]


class Scrub(Work):
    """Answer one prompt with each checkpoint of a training, the base model first: how the answer changed on the way.

    Greedy, so that only the weights differ. The screen turns through the steps with the arrow keys.
    """

    verb = "scrub"
    effect = "compute"
    words = ("job", "prompt")
    rest = True
    examples = ("scrub 3 Where is my card?",)
    completes = {"job": "jobs"}
    pauses = False

    job: str = Field(description="The number of a training of a chat model")
    prompt: str = Field(min_length=1, description="What is asked")
    system: str = Field("", description="A system prompt before it")
    max_tokens: int = Field(64, ge=1, le=1024, description="Longest answer")

    def title(self) -> str:
        return f"scrub job {self.job}"

    def prepare(self, desk: Desk) -> Scrub:
        from engine.training.recipes.table import RECIPES

        record = training(desk.workspace, self.job)
        recipe: Any = record.command.get("recipe")
        if not RECIPES[recipe].writes:
            raise JobRefused(f"Job {record.id} trains {RECIPES[recipe].says}: it writes no answers.", "Scrub a training of a chat model.")
        if not any(one.whole for one in on_disk(desk.workspace, record)):
            raise JobRefused(f"Job {record.id} has no whole checkpoint.", DONE)
        return self

    def work(self, job: JobContext) -> Result:
        from engine.models.convert import trainable_folder
        from engine.training.scrub import scrub

        record = training(job.workspace, self.job)
        steps = [one for one in on_disk(job.workspace, record) if one.whole]
        messages = [*([{"role": "system", "content": self.system}] if self.system else []), {"role": "user", "content": self.prompt}]
        base = str(record.command["base"])
        answers = scrub(job, trainable_folder(job, job.workspace.models.get(base)), steps, messages, self.max_tokens)
        told: list[dict[str, Any]] = [{"step": 0, "eval_loss": None, "answer": answers[0]}]
        told += [{"step": one.step, "eval_loss": one.loss, "answer": answer} for one, answer in zip(steps, answers[1:], strict=True)]
        data = {"job": record.id, "base": base, "prompt": self.prompt, "system": self.system, "answers": told}
        rows = [["0", "", answers[0]], *([str(one.step), one.says, answer] for one, answer in zip(steps, answers[1:], strict=True))]
        summary = f"{len(told)} answers to “{' '.join(self.prompt.split())[:60]}”, from {base} to step {steps[-1].step}."
        return Result(summary, data, Table(["step", "held-out loss", "answer"], rows), opens=f"scrub:{job.id}")


def training(workspace: Workspace, number: str) -> JobRecord:
    """A training by its number. Raises ``JobError``, ``NotFound``."""
    record = workspace.jobs.get(number)
    if record.verb != "train":
        raise JobRefused(f"Job {record.id} ({record.title}) is no training: it has no checkpoints.", "`jobs` lists them.")
    return record


def on_disk(workspace: Workspace, record: JobRecord) -> list[Saved]:
    from engine.training.kept import saved

    return saved(workspace.paths.job(record.id) / "checkpoints")
