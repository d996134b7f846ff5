"""A workspace and its steps, done in the caller's thread, for tests of lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.data.datasets import Add
from engine.commands.data.versions import bring
from engine.data.lineage import replay, steps, versions
from engine.data.rows import window
from engine.jobs.context import CancelToken, JobContext
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from engine.data.lineage.replay import Replayed
    from engine.events import Event
    from engine.store.datasets import DatasetRecord


Rows = dict[str, list[dict[str, Any]]]


class Lab:
    """A workspace with no engine around it."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.events: list[Event] = []
        self.token = CancelToken()
        self._number = 0

    def job(self) -> JobContext:
        self._number += 1
        made = JobContext(str(self._number), self.workspace, self.events.append, self.token, resumed=False)
        made.folder.mkdir(parents=True, exist_ok=True)
        return made

    def add(self, source: Path, **values: Any) -> DatasetRecord:
        result = Add(source=str(source), **values).work(self.job())
        return self.workspace.datasets.get(result.data["dataset"])

    def do(self, name: str, step: steps.Step, new: str = "") -> DatasetRecord:
        if isinstance(step, steps.Edit):
            return versions.edit(self.workspace, self.job(), name, step).after
        return versions.change(self.workspace, self.job(), name, step, new=new).after

    def replay(self, name: str, number: int = 0) -> Replayed:
        current = self.workspace.versions.get(name, self.workspace.datasets.get(name).fingerprint)
        return replay.replay(self.job(), versions.numbered(self.workspace, name, number) if number else current, bring)

    def rows(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """Every row of the dataset as it is now, by split."""
        record = self.workspace.datasets.get(name)
        return {split: window(record, split, 0, count) for split, count in record.splits.items()}


def sixty(home: Path, folder: Path) -> Lab:
    """A workspace with ``t``: 60 rows of text (six of them twice), label and n; 48 to train and 12 to test."""
    lines = [f"row {n % 54} of some length,{'ab'[n % 3 == 0]},{n % 54}" for n in range(60)]
    (folder / "t.csv").write_text("text,label,n\n" + "\n".join(lines) + "\n")
    made = Lab(home)
    made.add(folder / "t.csv", test=0.2)
    return made


def flat(rows: Rows) -> list[dict[str, Any]]:
    """The rows of all splits."""
    return [row for found in rows.values() for row in found]
