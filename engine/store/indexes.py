"""Search indexes: which dataset, at which fingerprint, with which encoder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """A finished index over ``dataset`` as it was at ``fingerprint``; ``columns`` are the columns embedded."""

    dataset: str
    fingerprint: str
    encoder: str
    folder: str
    columns: list[str]
    passages: int
    created: str = field(default_factory=now)


class IndexTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, record: IndexRecord) -> None:
        self._db.write(
            "INSERT OR REPLACE INTO indexes (dataset, fingerprint, encoder, folder, columns, passages, created) VALUES (?,?,?,?,?,?,?)",
            record.dataset, record.fingerprint, record.encoder, record.folder, json.dumps(record.columns), record.passages, record.created,
        )  # fmt: skip

    def find(self, dataset: str) -> IndexRecord | None:
        row = self._db.row("SELECT * FROM indexes WHERE dataset = ?", dataset)
        return _record(row) if row else None

    def remove(self, dataset: str) -> None:
        self._db.write("DELETE FROM indexes WHERE dataset = ?", dataset)


def _record(row: Any) -> IndexRecord:
    values = dict(row)
    values["columns"] = json.loads(values["columns"])
    return IndexRecord(**values)
