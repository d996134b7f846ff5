"""Conversations: every message is kept, so that a killed terminal loses none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """``role``: user, assistant. ``facts``: model, dataset, passages, tokens a second, …"""

    session: str
    role: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=now)
    id: int = 0


class SessionTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, record: MessageRecord) -> int:
        return self._db.write(
            "INSERT INTO messages (session, role, text, facts, created) VALUES (?,?,?,?,?)",
            record.session, record.role, record.text, json.dumps(record.facts), record.created,
        )  # fmt: skip

    def messages(self, session: str, last: int = 200) -> list[MessageRecord]:
        """The ``last`` messages of a session, oldest first."""
        rows = self._db.rows("SELECT * FROM messages WHERE session = ? ORDER BY id DESC LIMIT ?", session, last)
        return [_record(row) for row in reversed(rows)]


def _record(row: Any) -> MessageRecord:
    values = dict(row)
    values["facts"] = json.loads(values["facts"])
    return MessageRecord(**values)
