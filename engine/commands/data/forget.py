"""forget: a dataset leaves the workspace, unless a job still needs it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from engine.commands.base import Desk, Now, Result
from engine.commands.data.datasets import size
from engine.errors import JobError, NotFound
from engine.events import CatalogChanged

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord
    from engine.store.jobs import JobRecord
    from engine.store.workspace import Workspace


class Forget(Now):
    """Remove a dataset and its index from the workspace. Asks first: without --yes it only says what would go."""

    verb = "forget"
    effect = "write"
    words = ("dataset",)
    completes = {"dataset": "datasets"}
    examples = ("forget tickets", "forget tickets --yes")

    dataset: str = Field(description="The dataset's name")
    yes: bool = Field(False, description="Remove it now; it can't be undone, but the source stays and can be added again")

    def run(self, desk: Desk) -> Result:
        workspace = desk.workspace
        record = workspace.datasets.get(self.dataset)
        index = workspace.indexes.find(record.name)
        with_index = " and its index" if index else ""
        data = {"dataset": record.name, "rows": record.rows, "bytes": record.bytes, "index": bool(index), "removed": self.yes}
        if not self.yes:
            return Result(
                f"This would remove {record.name}{with_index}: {record.rows:,} rows, {size(record.bytes)}. Its source stays. To do it: forget {record.name} --yes",
                data,
            )
        check_not_needed(workspace, record.name)
        # The records go first: whatever a kill leaves of the folders is then nobody's, and `disk` can reclaim it.
        workspace.indexes.remove(record.name)
        workspace.datasets.remove(record.name)
        workspace.versions.remove(record.name)
        if workspace.recall("dataset") == record.name:
            workspace.remember("dataset", next(iter(workspace.datasets.names()), ""))
            desk.publish(CatalogChanged(what="settings", name="dataset"))
        own = workspace.paths.datasets / record.name
        for folder in [own, workspace.paths.quality / record.name, *([Path(index.folder)] if index else [])]:
            if folder.is_relative_to(workspace.paths.root):
                shutil.rmtree(folder, ignore_errors=True)
        for what in ("datasets", "indexes"):
            desk.publish(CatalogChanged(what=what, name=record.name))
        return Result(f"Removed {record.name}{with_index}: {size(record.bytes)} are free again.", data)


def check_not_needed(workspace: Workspace, dataset: str) -> None:
    """Raises ``JobError`` while a job that is not over works with the dataset, whichever of its versions that is."""
    record = workspace.datasets.get(dataset)
    for job in workspace.jobs.all():
        if job.state in ("queued", "running", "paused", "interrupted") and _needs(job, record):
            raise JobError(f"Job {job.id} ({job.title}) needs {dataset}.", f"Wait for it, or first: cancel {job.id}")


def _needs(job: JobRecord, record: DatasetRecord) -> bool:
    """Whether a job reads a dataset: a word of its Command that names datasets does name this one, or its query speaks of it."""
    from engine.commands.registry import command
    from engine.data.sql import mentioned

    try:
        takes = command(job.verb).completes
    except NotFound:  # of another version of Bittern, which may know more
        takes = {"on": "datasets", "dataset": "datasets"}
    words = [str(job.command.get(field, "")) for field, what in takes.items() if what == "datasets"]
    names = {word.removeprefix("dataset:").strip("/").partition("/")[0] for text in words for word in re.split(r"[\s,]+", text)}
    query = str(job.command.get("query", "")) if job.verb == "keep" else ""
    return record.name in names or bool(query and mentioned(query, [record]))
