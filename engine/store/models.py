"""Models: chat models, encoders, classifiers and adapters that the workspace knows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.events import now
from engine.store.jobs import missing

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model on disk.

    ``kind``: chat, encoder, classifier, or adapter (then ``base`` names its model and ``folder`` holds the PEFT
    adapter), or tokenizer. Of a whole model that was trained here ``base`` names what it was trained from. ``gguf`` is a file for llama.cpp, ``folder`` a transformers folder; a model may have both.
    ``facts`` are shown as they are: parameters, context, licence, quantisation, labels, trained_on, …
    """

    name: str
    kind: str
    source: str
    bytes: int
    revision: str = ""
    gguf: str = ""
    folder: str = ""
    base: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=now)

    @property
    def beneath(self) -> str:
        """The model that an adapter is put on; empty for a whole model, also for one whose ``base`` it was trained from."""
        return self.base if self.kind == "adapter" else ""


def free_name(wanted: str, taken: set[str]) -> str:
    """``wanted``, or ``wanted-2``, … where that is taken."""
    return next(name for name in (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3))) if name not in taken)


class ModelTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, record: ModelRecord) -> None:
        self._db.write(
            "INSERT OR REPLACE INTO models (name, kind, source, revision, gguf, folder, base, bytes, facts, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
            record.name, record.kind, record.source, record.revision, record.gguf, record.folder, record.base, record.bytes,
            json.dumps(record.facts), record.created,
        )  # fmt: skip

    def get(self, name: str) -> ModelRecord:
        """Raises ``NotFound`` with near matches, or with the job that is to make it."""
        row = self._db.row("SELECT * FROM models WHERE name = ?", name)
        if row is None:
            raise missing(self._db, "model", name, self.names(), "`models` lists what is here; `setup` brings the starter models.")
        return _record(row)

    def find(self, name: str) -> ModelRecord | None:
        row = self._db.row("SELECT * FROM models WHERE name = ?", name)
        return _record(row) if row else None

    def all(self) -> list[ModelRecord]:
        return [_record(row) for row in self._db.rows("SELECT * FROM models ORDER BY created, name")]

    def names(self) -> list[str]:
        return [row["name"] for row in self._db.rows("SELECT name FROM models")]

    def remove(self, name: str) -> None:
        self._db.write("DELETE FROM models WHERE name = ?", name)


def _record(row: Any) -> ModelRecord:
    values = dict(row)
    values["facts"] = json.loads(values["facts"])
    return ModelRecord(**values)
