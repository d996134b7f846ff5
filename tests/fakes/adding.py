"""Datasets added by jobs that run in the test's own thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.commands.data.datasets import Add
from engine.data.rows import window
from engine.errors import BitternError
from engine.jobs.context import CancelToken, JobContext
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from engine.events import Event
    from engine.store.datasets import DatasetRecord

CSV = "text,label\n" + "".join(f'"row {n}, with a comma",{"good" if n % 2 else "bad"}\n' for n in range(40))


class Bench:
    """A workspace, and jobs run in this thread."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.events: list[Event] = []
        self.token = CancelToken()
        self._number = 0

    def add(self, source: object, **values: Any) -> DatasetRecord:
        self._number += 1
        folder = self.workspace.paths.job(str(self._number))
        folder.mkdir(parents=True, exist_ok=True)
        job = JobContext(str(self._number), self.workspace, self.events.append, self.token, resumed=False)
        result = Add(source=str(source), **values).work(job)
        assert not list(folder.iterdir()), "what a job used is cleared away"
        return self.workspace.datasets.get(result.data["dataset"])

    def fails(self, source: object, **values: Any) -> BitternError:
        before = self.workspace.datasets.all(), sorted(self.workspace.paths.datasets.rglob("*"))
        with pytest.raises(BitternError) as caught:
            self.add(source, **values)
        assert (self.workspace.datasets.all(), sorted(self.workspace.paths.datasets.rglob("*"))) == before
        return caught.value


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def every(record: DatasetRecord) -> list[dict[str, Any]]:
    return [row for split, count in record.splits.items() for row in window(record, split, 0, count)]
