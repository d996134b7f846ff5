"""Datasets: what is in the workspace, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.events import now
from engine.store.jobs import missing

if TYPE_CHECKING:
    import sqlite3

    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset on disk: ``folder`` holds one ``save_to_disk`` folder for each split.

    ``splits`` maps a split to its rows; ``features`` maps a column to its type in words; ``shape`` is one of
    conversation, instruction, classification, text, table; ``columns`` maps the shape's roles (``text``,
    ``label``, ``prompt``, ``completion``, ``messages``, …) to column names.
    """

    name: str
    source: str
    folder: str
    fingerprint: str
    splits: dict[str, int]
    features: dict[str, str]
    shape: str
    columns: dict[str, str]
    bytes: int
    note: str = ""
    created: str = field(default_factory=now)

    @property
    def rows(self) -> int:
        return sum(self.splits.values())


class DatasetTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, record: DatasetRecord) -> None:
        with self._db.transaction() as tx:
            insert(tx, record)

    def get(self, name: str) -> DatasetRecord:
        """Raises ``NotFound`` with near matches, or with the job that is to make it."""
        row = self._db.row("SELECT * FROM datasets WHERE name = ?", name)
        if row is None:
            raise missing(self._db, "dataset", name, self.names(), "Add one with: add FILE. `datasets` lists what is here.")
        return _record(row)

    def find(self, name: str) -> DatasetRecord | None:
        row = self._db.row("SELECT * FROM datasets WHERE name = ?", name)
        return _record(row) if row else None

    def all(self) -> list[DatasetRecord]:
        return [_record(row) for row in self._db.rows("SELECT * FROM datasets ORDER BY created, name")]

    def names(self) -> list[str]:
        return [row["name"] for row in self._db.rows("SELECT name FROM datasets")]

    def remove(self, name: str) -> None:
        self._db.write("DELETE FROM datasets WHERE name = ?", name)


def insert(tx: sqlite3.Connection, record: DatasetRecord) -> None:
    """Put a record, in a transaction that may hold more."""
    tx.execute(
        "INSERT OR REPLACE INTO datasets (name, source, folder, fingerprint, splits, features, shape, columns, bytes, note, created)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            record.name, record.source, record.folder, record.fingerprint, json.dumps(record.splits), json.dumps(record.features),
            record.shape, json.dumps(record.columns), record.bytes, record.note, record.created,
        ),
    )  # fmt: skip


def _record(row: Any) -> DatasetRecord:
    values = dict(row)
    for name in ("splits", "features", "columns"):
        values[name] = json.loads(values[name])
    return DatasetRecord(**values)
