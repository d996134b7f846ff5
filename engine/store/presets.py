"""Presets: a system prompt and sampling, kept under a name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


class PresetTable:
    """A preset is ``{"system": text, "sampling": {field: value}}``; what it leaves out stays as it is."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def names(self) -> list[str]:
        return [row["name"] for row in self._db.rows("SELECT name FROM presets ORDER BY name")]

    def all(self) -> list[tuple[str, dict[str, Any]]]:
        return [(row["name"], json.loads(row["settings"])) for row in self._db.rows("SELECT name, settings FROM presets ORDER BY name")]

    def find(self, name: str) -> dict[str, Any] | None:
        row = self._db.row("SELECT settings FROM presets WHERE name = ?", name)
        return json.loads(row["settings"]) if row else None

    def get(self, name: str) -> dict[str, Any]:
        """Raises ``NotFound`` with near matches."""
        found = self.find(name)
        if found is None:
            raise NotFound.named("preset", name, self.names(), "`preset` lists them; `preset NAME --save` makes one.")
        return found

    def put(self, name: str, settings: dict[str, Any]) -> None:
        self._db.write("INSERT OR REPLACE INTO presets (name, settings, created) VALUES (?, ?, ?)", name, json.dumps(settings), now())

    def forget(self, name: str) -> None:
        self._db.write("DELETE FROM presets WHERE name = ?", name)
