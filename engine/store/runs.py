"""Evaluation runs: what was measured, on which rows, and where each prediction lies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class RunRecord:
    """``metrics`` maps a metric's name to its value; ``predictions`` is a JSONL file, one row a prediction."""

    job: str
    model: str
    dataset: str
    split: str
    fingerprint: str
    task: str
    rows: int
    metrics: dict[str, Any]
    predictions: str
    created: str = field(default_factory=now)
    id: str = ""


class RunTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, record: RunRecord) -> str:
        """Store a run and return its id."""
        number = self._db.write(
            "INSERT INTO runs (job, model, dataset, split, fingerprint, task, rows, metrics, predictions, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
            record.job, record.model, record.dataset, record.split, record.fingerprint, record.task, record.rows,
            json.dumps(record.metrics), record.predictions, record.created,
        )  # fmt: skip
        return str(number)

    def get(self, run_id: str) -> RunRecord:
        """Raises ``NotFound``."""
        row = self._db.row("SELECT * FROM runs WHERE id = ?", run_id)
        if row is None:
            raise NotFound(f"There is no evaluation run {run_id}.", "`runs` lists them.")
        return _record(row)

    def all(self) -> list[RunRecord]:
        return [_record(row) for row in self._db.rows("SELECT * FROM runs ORDER BY id DESC")]


def _record(row: Any) -> RunRecord:
    values = dict(row)
    values["id"] = str(values["id"])
    values["metrics"] = json.loads(values["metrics"])
    return RunRecord(**values)
