"""Memory of jobs: what was expected before they began, and the most that they really had, in bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class PeakRecord:
    """``predicted`` from the config alone, ``runtime`` the part of it that a bare process has, ``corrected`` by what was
    learnt until then, ``measured`` the process's peak; 0 where it is not known. ``kind`` is training or inference."""

    job: str
    kind: str = ""
    model: str = ""
    predicted: int = 0
    runtime: int = 0
    corrected: int = 0
    measured: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=now)

    def says(self) -> str:
        """In words: what was expected beside what was measured."""
        said = [f"{size / 1e9:.2f} GB {word}" for word, size in (("expected", self.corrected), ("measured", self.measured)) if size]
        return ", ".join(said) or "not measured"


class PeakTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def expect(self, record: PeakRecord) -> None:
        """Write down what a job is going to need; said again, the later word counts. What was measured stays."""
        self._db.write(
            "INSERT INTO peaks (job, kind, model, predicted, runtime, corrected, settings, created) VALUES (?,?,?,?,?,?,?,?)"
            " ON CONFLICT (job) DO UPDATE SET kind = excluded.kind, model = excluded.model, predicted = excluded.predicted,"
            " runtime = excluded.runtime, corrected = excluded.corrected, settings = excluded.settings",
            record.job, record.kind, record.model, record.predicted, record.runtime, record.corrected, json.dumps(record.settings), record.created,
        )  # fmt: skip

    def measure(self, job: str, peak: int) -> None:
        """Write down the most that a job's process had; of several attempts the largest counts."""
        self._db.write(
            "INSERT INTO peaks (job, measured, created) VALUES (?,?,?) ON CONFLICT (job) DO UPDATE SET measured = max(measured, excluded.measured)",
            job, peak, now(),
        )  # fmt: skip

    def find(self, job: str) -> PeakRecord | None:
        row = self._db.row("SELECT * FROM peaks WHERE job = ?", job)
        return _record(row) if row else None

    def known(self, kind: str, most: int = 50) -> list[PeakRecord]:
        """The latest jobs of a kind of which both is known, newest first."""
        rows = self._db.rows("SELECT * FROM peaks WHERE kind = ? AND predicted > 0 AND measured > 0 ORDER BY created DESC LIMIT ?", kind, most)
        return [_record(row) for row in rows]


def _record(row: Any) -> PeakRecord:
    values = dict(row)
    values["settings"] = json.loads(values["settings"])
    return PeakRecord(**values)
