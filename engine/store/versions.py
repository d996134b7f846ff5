"""Versions of datasets: what each looked like, from which it was made, and by which step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.events import now
from engine.store.datasets import DatasetRecord, insert

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from engine.store.database import Database

START: dict[str, Any] = {"kind": "start", "verb": "", "values": {}}


class Moved(Exception):
    """Control flow: the dataset is no longer at the version that was expected, and nothing was written."""


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A dataset as it was at ``record.fingerprint``, made from ``parent`` by ``step`` (JSON; see ``engine.data.lineage.steps``).

    ``parent`` is empty for a start. ``visited`` grows each time a version becomes the current one. A version whose
    rows were given back to the disk has a record with an empty folder: its step is still known.
    """

    dataset: str
    number: int
    parent: str
    step: dict[str, Any]
    record: DatasetRecord
    visited: int
    created: str

    @property
    def fingerprint(self) -> str:
        return self.record.fingerprint

    @property
    def kept(self) -> bool:
        """Whether its rows are still on the disk."""
        return bool(self.record.folder) and Path(self.record.folder).is_dir()


class VersionTable:
    """``datasets`` says which version is the current one; both tables are written in one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(
        self, record: DatasetRecord, parent: str, step: dict[str, Any], *, expect: str | None = None, before: Iterable[VersionRecord] = ()
    ) -> VersionRecord:
        """Store a version and make it the current one.

        ``expect`` is the fingerprint that the dataset must be at (empty: it must not exist), or else ``Moved``.
        ``before`` are the versions of another dataset that this one, a new one, goes back to.
        """
        with self._db.transaction() as tx:
            self._check(tx, record.name, expect)
            for earlier in before:
                self._write(tx, replace(earlier.record, name=record.name, folder=""), earlier.parent, earlier.step)
            insert(tx, record)
            self._write(tx, record, parent, step)
        return self.get(record.name, record.fingerprint)

    def begin(self, record: DatasetRecord) -> VersionRecord:
        """The version that the dataset is at; recorded as a start of unknown making when it has none yet."""
        found = self.find(record.name, record.fingerprint)
        if found is None or not found.kept:
            with self._db.transaction() as tx:
                self._check(tx, record.name, record.fingerprint)
                self._write(tx, record, found.parent if found else "", found.step if found else START)
        return self.get(record.name, record.fingerprint)

    def go(self, version: VersionRecord, *, expect: str) -> None:
        """Make a version the current one. Raises ``Moved``."""
        self.put(version.record, version.parent, version.step, expect=expect)

    def get(self, dataset: str, fingerprint: str) -> VersionRecord:
        """Raises ``NotFound``."""
        found = self.find(dataset, fingerprint)
        if found is None:
            raise NotFound(f"{dataset} has no version {fingerprint}.", f"`history {dataset}` lists them.")
        return found

    def find(self, dataset: str, fingerprint: str) -> VersionRecord | None:
        row = self._db.row("SELECT * FROM versions WHERE dataset = ? AND fingerprint = ?", dataset, fingerprint)
        return _record(row) if row else None

    def all(self, dataset: str) -> list[VersionRecord]:
        """The versions of a dataset, in the order in which they were made."""
        return [_record(row) for row in self._db.rows("SELECT * FROM versions WHERE dataset = ? ORDER BY number", dataset)]

    def latest_child(self, dataset: str, fingerprint: str) -> VersionRecord | None:
        """Of the versions made from this one, the one that was the current one last."""
        row = self._db.row("SELECT * FROM versions WHERE dataset = ? AND parent = ? ORDER BY visited DESC LIMIT 1", dataset, fingerprint)
        return _record(row) if row else None

    def place(self, version: VersionRecord, record: DatasetRecord) -> None:
        """Say where the rows of a version lie now; an empty folder says that they are no longer kept."""
        self._db.write("UPDATE versions SET record = ? WHERE dataset = ? AND fingerprint = ?", _dump(record), version.dataset, version.fingerprint)

    def remove(self, dataset: str) -> None:
        self._db.write("DELETE FROM versions WHERE dataset = ?", dataset)

    def _check(self, tx: sqlite3.Connection, name: str, expect: str | None) -> None:
        row = tx.execute("SELECT fingerprint FROM datasets WHERE name = ?", (name,)).fetchone()
        if expect is not None and (row["fingerprint"] if row else "") != expect:
            raise Moved

    def _write(self, tx: sqlite3.Connection, record: DatasetRecord, parent: str, step: dict[str, Any]) -> None:
        last = tx.execute("SELECT COALESCE(MAX(number), 0), COALESCE(MAX(visited), 0) FROM versions WHERE dataset = ?", (record.name,)).fetchone()
        # A version that is known keeps its number, its step and its parent: the same step on the same rows is the same version.
        tx.execute(
            "INSERT INTO versions (dataset, number, fingerprint, parent, step, record, visited, created) VALUES (?,?,?,?,?,?,?,?)"
            " ON CONFLICT (dataset, fingerprint) DO UPDATE SET record = excluded.record, visited = excluded.visited",
            (record.name, last[0] + 1, record.fingerprint, parent, json.dumps(step), _dump(record), last[1] + 1, now()),
        )


def _dump(record: DatasetRecord) -> str:
    return json.dumps(asdict(record))


def _record(row: Any) -> VersionRecord:
    record = DatasetRecord(**json.loads(row["record"]))
    return VersionRecord(row["dataset"], row["number"], row["parent"], json.loads(row["step"]), record, row["visited"], row["created"])
