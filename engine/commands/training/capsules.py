"""Commands that carry a training away as a file, and run it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engine.commands.base import Desk, Field, Slot, Where, Work
from engine.errors import DataError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.commands.training.train import Train
    from engine.jobs.context import JobContext
    from engine.store.workspace import Workspace
    from engine.training.capsule import Capsule


class WriteCapsule(Work):
    """Write a training's capsule: its Command, which rows and weights, versions, seeds, machine and losses, as one JSON file.

    It holds no row, no weight and no secret. `replay FILE` runs it again, here or on another machine that has the same
    rows and weights, and says whether it comes out the same.
    """

    verb = "capsule"
    effect = "write"
    slot: ClassVar[Slot] = "io"
    where: ClassVar[Where] = "thread"
    pauses = False
    words = ("job",)
    examples = ("capsule 3 --to tickets.json",)
    completes = {"job": "jobs", "to": "files"}

    job: str = Field(description="The number of a training that is done")
    to: str = Field(description="The file to write")
    force: bool = Field(False, description="Replace a file that is there")

    def prepare(self, desk: Desk) -> WriteCapsule:
        from engine.training.capsule import of_job

        file = Path(self.to).expanduser().absolute()
        if file.exists() and not self.force:
            raise DataError(f"{file} is there already.", "To replace it: --force")
        if not file.parent.is_dir():
            raise DataError(f"There is no folder {file.parent}.", "Make it first, or choose another.")
        of_job(desk.workspace, desk.workspace.jobs.get(self.job))
        return self.model_copy(update={"to": str(file)})

    def work(self, job: JobContext) -> Result:
        from engine.paths import write_json
        from engine.training.capsule import of_job

        capsule = of_job(job.workspace, job.workspace.jobs.get(self.job))
        write_json(Path(self.to), capsule.as_dict())
        return Result(f"{self.to}: the training of job {self.job}, {len(capsule.losses)} steps.", {"file": self.to, "job": self.job})


class ReplayRun(Work):
    """Run a training again from its job or its capsule, and say whether every loss is the same (to 1e-6).

    The rows must have the same fingerprint and the weights the same hash, or it says what is missing. Nothing of it is
    kept but the comparison. On another machine or with other versions losses may differ in their last digits: what
    differs is told. `replay` with a job's number or a capsule's file comes here.
    """

    verb = "replay-run"
    effect = "compute"
    words = ("run",)
    examples = ("replay-run 3", "replay-run tickets.json")
    completes = {"run": "jobs"}

    run: str = Field(description="The number of a training that is done, or a file that `capsule` wrote")

    def title(self) -> str:
        return f"replay {self.run}"

    def prepare(self, desk: Desk) -> ReplayRun:
        run = self.run if self.run.isdigit() else str(Path(self.run).expanduser().absolute())
        ready = self.model_copy(update={"run": run})
        ready._again(desk.workspace, ready._capsule(desk.workspace))
        return ready

    def work(self, job: JobContext) -> Result:
        import shutil

        from engine.training.again import losses
        from engine.training.capsule import compare

        capsule = self._capsule(job.workspace)
        if capsule.changes:
            job.log("Its learning rate or steps were changed while it was paused: a replay has the later settings from its first step on.", "warning")
        command = self._again(job.workspace, capsule)
        verdict = compare(capsule, *losses(job, command.spec(job.workspace.datasets.get(command.on))))
        shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)
        said = (
            f"it matches: {verdict.steps} steps, no loss differs by more than {verdict.worst:.1g}" if verdict.same
            else f"it does NOT match: from step {verdict.first} on losses differ, by {verdict.worst:.3g} at most"
        )  # fmt: skip
        data = {
            "run": self.run, "same": verdict.same, "steps": verdict.steps, "worst": verdict.worst, "first": verdict.first, "differs": verdict.differs,
        }  # fmt: skip
        table = Table(["not as it was then"], [[what] for what in verdict.differs]) if verdict.differs else None
        return Result(f"{self.title()}: {said}.", data, table)

    def _capsule(self, workspace: Workspace) -> Capsule:
        from engine.training.capsule import of_job, read

        return of_job(workspace, workspace.jobs.get(self.run)) if self.run.isdigit() else read(Path(self.run))

    def _again(self, workspace: Workspace, capsule: Capsule) -> Train:
        """The capsule's Command, with the names that its rows and its model have in this workspace."""
        from engine.commands.registry import restore
        from engine.commands.training.train import Train
        from engine.training.capsule import find_base, find_rows

        values: dict[str, Any] = {**capsule.command, "on": find_rows(workspace, capsule).name, "base": find_base(workspace, capsule).name}
        found = restore("train", values)
        if not isinstance(found, Train):
            raise DataError("The capsule holds no training.", "Give a file that `capsule` wrote.")
        return found
