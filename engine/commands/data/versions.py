"""Commands about a dataset's history: undo, redo, history, replay."""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.data.datasets import cell, describe, size
from engine.commands.data.forget import check_not_needed
from engine.commands.data.search import chosen
from engine.events import CatalogChanged
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.data.lineage import steps
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.versions import VersionRecord


class Undo(Now):
    """Take the last step of a dataset back. Nothing is lost: `redo` does it again."""

    verb = "undo"
    effect = "write"
    words = ("dataset",)
    completes = {"dataset": "datasets"}
    examples = ("undo", "undo tickets", "undo tickets --to 3")

    dataset: str = Field("", description="Which dataset (the one in use)")
    to: int = Field(0, ge=0, description="To this version, by its number in `history`")

    def run(self, desk: Desk) -> Result:
        from engine.data.lineage import versions

        name = chosen(desk, self.dataset).name
        before = desk.workspace.datasets.get(name)
        version = versions.go_to(desk.workspace, name, self.to) if self.to else versions.undo(desk.workspace, name)
        undone = desk.workspace.versions.get(name, before.fingerprint)
        said = f"{name} is at version {self.to}" if self.to else f"Undone: {_says(undone)}"
        return _moved(desk, version, f"{said}. {describe(version.record)}. `redo {name}` does it again.")


class Redo(Now):
    """Do the step again that the last undo took back."""

    verb = "redo"
    effect = "write"
    words = ("dataset",)
    completes = {"dataset": "datasets"}
    examples = ("redo", "redo tickets")

    dataset: str = Field("", description="Which dataset (the one in use)")

    def run(self, desk: Desk) -> Result:
        from engine.data.lineage import versions

        version = versions.redo(desk.workspace, chosen(desk, self.dataset).name)
        return _moved(desk, version, f"Done again: {_says(version)}. {describe(version.record)}.")


class History(Now):
    """Show the versions of a dataset, with the step that made each; * marks the current one.

    --prune says how much room the old versions take; with --yes it gives it back. Their steps stay known.
    """

    verb = "history"
    words = ("dataset",)
    completes = {"dataset": "datasets"}
    examples = ("history tickets", "history tickets --prune", "history tickets --prune --yes")

    dataset: str = Field("", description="Which dataset (the one in use)")
    count: int = Field(20, ge=1, description="How many versions, the newest last")
    prune: bool = Field(False, description="Give back the room of all versions but the current one; asks first")
    yes: bool = Field(False, description="With --prune: do it now")

    def run(self, desk: Desk) -> Result:
        record = chosen(desk, self.dataset)
        return self._prune(desk, record) if self.prune else self._list(desk, record)

    def _list(self, desk: Desk, record: DatasetRecord) -> Result:
        current = desk.workspace.versions.begin(record)
        every = desk.workspace.versions.all(record.name)
        numbers = {version.fingerprint: version.number for version in every}
        shown = every[-self.count :]
        rows = [
            [
                f"{'*' if version.number == current.number else ''}{version.number}", str(numbers.get(version.parent, "")), cell(_says(version)),
                f"{version.record.rows:,}", size(version.record.bytes) if version.kept else "not kept", _when(version.created),
            ]
            for version in shown
        ]  # fmt: skip
        data = {
            "dataset": record.name, "version": current.number,
            "versions": [{**_as_data(version), "parent": numbers.get(version.parent), "current": version.number == current.number} for version in shown],
        }  # fmt: skip
        more = f" The last {len(shown)} are shown: --count {len(every)} shows all." if len(shown) < len(every) else ""
        count = f"{len(every)} version{'s' if len(every) > 1 else ''}"
        return Result(
            f"{record.name}: {count}, now at {current.number}.{more}", data, Table(["version", "from", "step", "rows", "size", "when"], rows)
        )

    def _prune(self, desk: Desk, record: DatasetRecord) -> Result:
        from engine.data.lineage import versions

        old, free = versions.prune(desk.workspace, record.name, do=False)
        data = {"dataset": record.name, "versions": [version.number for version in old], "bytes": free, "removed": self.yes and bool(old)}
        if not old:
            return Result(f"{record.name} keeps no old versions.", data)
        count = f"{len(old)} old version{'s' if len(old) > 1 else ''} of {record.name}"
        if not self.yes:
            return Result(
                f"This would remove the rows of {count}: {size(free)}. `undo` could not go there; `replay {record.name} --to NUMBER` could make"
                f" them again from the source. To do it: history {record.name} --prune --yes",
                data,
            )
        check_not_needed(desk.workspace, record.name)
        versions.prune(desk.workspace, record.name, do=True)
        desk.publish(CatalogChanged(what="datasets", name=record.name))
        return Result(f"Removed the rows of {count}: {size(free)} are free again.", data)


class Replay(Work):
    """Make a dataset again from its source, step by step, and check that every row comes out the same.

    A version whose rows are no longer on the disk gets them back. Given the number of a training, or the file of its
    capsule, it runs that again instead (`replay-run`).
    """

    verb = "replay"
    effect = "compute"
    slot = "io"
    words = ("dataset",)
    completes = {"dataset": "datasets"}
    examples = ("replay tickets", "replay tickets --to 2", "replay 3")

    dataset: str = Field(description="Which dataset; or the number of a training, or a capsule's file")
    to: int = Field(0, ge=0, description="This version, by its number in `history`; the current one otherwise")

    def prepare(self, desk: Desk) -> Work:
        from engine.data.lineage import versions

        if desk.workspace.datasets.find(self.dataset) is None and (self.dataset.isdigit() or self.dataset.endswith(".json")):
            from engine.commands.training.capsules import ReplayRun

            return ReplayRun(run=self.dataset).prepare(desk)

        record = desk.workspace.datasets.get(self.dataset)
        desk.workspace.versions.begin(record)
        if self.to:
            versions.numbered(desk.workspace, self.dataset, self.to)
        return self

    def work(self, job: JobContext) -> Result:
        from engine.data.lineage import replay, versions

        workspace = job.workspace
        record = workspace.datasets.get(self.dataset)
        current = workspace.versions.begin(record)
        version = versions.numbered(workspace, self.dataset, self.to) if self.to else current
        done = replay.replay(job, version, bring)
        if done.rebuilt:
            job.changed("datasets", self.dataset)
        origin = version.record.source if done.imported else "its first version (nothing says how it was imported)"
        number = f"{done.steps} step{'s' if done.steps != 1 else ''}"
        said = "its rows are on the disk again" if done.rebuilt else f"all {version.record.rows:,} rows are the same"
        data = {**_as_data(version), "steps": done.steps, "imported": done.imported, "rebuilt": done.rebuilt, "same": True}
        return Result(f"{self.dataset} version {version.number}: {number} from {origin}; {said}.", data)


def bring(job: JobContext, start: steps.Start) -> DatasetRecord:
    """Do the import again that a lineage starts with, in a workspace of its own inside the job's folder."""
    from engine.commands.registry import restore
    from engine.store.workspace import Workspace

    root = job.folder / "replay" / "0"
    shutil.rmtree(root, ignore_errors=True)
    workspace = Workspace(root, job.workspace.settings)
    try:
        inner = job.elsewhere(workspace)
        inner.folder.mkdir(parents=True, exist_ok=True)
        name = restore(start.verb, start.values).work(inner).data["dataset"]
        return workspace.datasets.get(name)
    finally:
        workspace.close()


def _moved(desk: Desk, version: VersionRecord, said: str) -> Result:
    desk.publish(CatalogChanged(what="datasets", name=version.dataset))
    return Result(said, _as_data(version))


def _as_data(version: VersionRecord) -> dict[str, Any]:
    return {
        "dataset": version.dataset, "version": version.number, "fingerprint": version.fingerprint, "step": version.step, "says": _says(version),
        "rows": version.record.rows, "splits": version.record.splits, "bytes": version.record.bytes, "kept": version.kept, "created": version.created,
    }  # fmt: skip


def _says(version: VersionRecord) -> str:
    from engine.data.lineage import steps

    return steps.from_json(version.step).says()


def _when(created: str) -> str:
    return datetime.fromisoformat(created).astimezone().strftime("%d %b %H:%M")
