"""Conversations as trees: a message stands under the one that it follows, and nothing that was said is ever replaced.

A conversation goes on at its ``leaf``: the messages from there up to the first are what is shown and what a model is
sent. Whoever adds a message says under which; so two processes in one conversation make two branches, never a mixture.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError, NotFound
from engine.events import now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from engine.store.database import Database

PATH = """
WITH RECURSIVE up (id, parent, depth) AS (
    SELECT id, parent, 0 FROM messages WHERE id = ?
    UNION ALL SELECT above.id, above.parent, depth + 1 FROM messages AS above JOIN up ON above.id = up.parent WHERE depth + 1 < ?)
SELECT messages.* FROM messages JOIN up ON messages.id = up.id ORDER BY depth DESC
"""
NEWEST_UNDER = """
WITH RECURSIVE down (id) AS (
    SELECT ? UNION ALL SELECT below.id FROM messages AS below JOIN down ON below.parent = down.id)
SELECT MAX(id) AS id FROM down
"""
LIST = """
SELECT sessions.*,
    (SELECT COUNT(*) FROM messages WHERE session = sessions.name) AS messages,
    COALESCE((SELECT text FROM messages WHERE session = sessions.name AND role = 'user' ORDER BY id LIMIT 1), '') AS begins
FROM sessions
"""
SEARCH = """
WHERE (forgotten != '') = ? AND (? = '%%' OR name LIKE ? ESCAPE '!' OR EXISTS (
    SELECT 1 FROM messages WHERE session = sessions.name AND text LIKE ? ESCAPE '!'))
ORDER BY pinned DESC, changed DESC
"""


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """``role``: user, assistant. ``facts``: kind (ask, chat), model, dataset, passages, usage, …

    ``parent`` is the id of the message above: 0 for a first one, and None, when it is added, for the place
    where the conversation goes on at that moment. ``siblings`` are the ids of all messages under the same one, this one among them, oldest first.
    """

    session: str
    role: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=now)
    id: int = 0
    parent: int | None = None
    siblings: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """``settings``: system, preset, sampling, attached. ``begins`` is its first question; ``forgotten`` is when it was
    put away, or empty."""

    name: str
    leaf: int
    pinned: bool
    settings: dict[str, Any]
    created: str
    changed: str
    forgotten: str
    messages: int = 0
    begins: str = ""


class SessionTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    # -- messages ---------------------------------------------------------------------------------------------

    def add(self, record: MessageRecord) -> int:
        """Keep a message under its parent and return its id. A question becomes the leaf; an answer only where nobody
        has gone on elsewhere meanwhile. A message goes where its parent is, even if that was renamed since.

        Raises ``NotFound`` for a parent that is gone.
        """
        with self._db.transaction() as connection:
            session = record.session
            if record.parent:
                above = connection.execute("SELECT session FROM messages WHERE id = ?", (record.parent,)).fetchone()
                if above is None:
                    raise NotFound(f"Message {record.parent} is not there any more.", "`session` shows this conversation.")
                session = above["session"]
            leaf = _begin(connection, session)
            parent = _place(connection, leaf, record.role) if record.parent is None else record.parent
            made = connection.execute(
                "INSERT INTO messages (session, role, text, facts, created, parent) VALUES (?,?,?,?,?,?)",
                (session, record.role, record.text, json.dumps(record.facts), record.created, parent),
            ).lastrowid
            if record.role == "user" or leaf == parent:
                connection.execute("UPDATE sessions SET leaf = ? WHERE name = ?", (made, session))
            connection.execute("UPDATE sessions SET changed = ?, forgotten = '' WHERE name = ?", (now(), session))
            return made or 0

    def write(self, message: int, before: str, text: str, facts: dict[str, Any]) -> bool:
        """Write an answer that is growing: only if it still reads ``before``. Returns whether it did."""
        with self._db.transaction() as connection:
            done = connection.execute("UPDATE messages SET text = ?, facts = ? WHERE id = ? AND text = ?", (text, json.dumps(facts), message, before))
            return done.rowcount == 1

    def get(self, message: int) -> MessageRecord:
        """Raises ``NotFound``."""
        row = self._db.row("SELECT * FROM messages WHERE id = ?", message)
        if row is None:
            raise NotFound(f"There is no message {message}.", "`session` shows this conversation with the number of each message.")
        return _message(row)

    def messages(self, session: str, last: int = 200) -> list[MessageRecord]:
        """The ``last`` messages from the leaf of a session upwards, oldest first."""
        found = self.find(session)
        return self.path(found.leaf, last) if found else []

    def path(self, message: int, last: int = 100_000) -> list[MessageRecord]:
        """The ``last`` messages down to this one, oldest first, each with its siblings."""
        rows = self._db.rows(PATH, message, last)
        if not rows:
            return []
        marks = ",".join("?" * len(rows))
        beside = self._db.rows(
            f"SELECT id, parent, session FROM messages WHERE session = ? AND parent IN ({marks}) ORDER BY id",  # noqa: S608 (marks only)
            rows[0]["session"], *(row["parent"] for row in rows),
        )  # fmt: skip
        siblings: dict[int, list[int]] = {}
        for row in beside:
            siblings.setdefault(row["parent"], []).append(row["id"])
        return [_message(row, tuple(siblings[row["parent"]])) for row in rows]

    def tree(self, session: str) -> list[MessageRecord]:
        """Every message of a session, oldest first."""
        return [_message(row) for row in self._db.rows("SELECT * FROM messages WHERE session = ? ORDER BY id", session)]

    def go_to(self, message: int) -> int:
        """Go on at this message from now on, in its conversation; returns where that stood before."""
        with self._db.transaction() as connection:
            row = connection.execute(
                "SELECT sessions.name, sessions.leaf FROM sessions JOIN messages ON messages.session = sessions.name WHERE messages.id = ?",
                (message,),
            ).fetchone()
            if row is None:
                raise NotFound(f"There is no message {message}.", "`branch` shows the whole conversation.")
            connection.execute("UPDATE sessions SET leaf = ?, changed = ? WHERE name = ?", (message, now(), row["name"]))
            return int(row["leaf"])

    def newest_under(self, message: int) -> int:
        """The id of the last message that was said below this one; its own where there is none."""
        row = self._db.row(NEWEST_UNDER, message)
        return int(row["id"]) if row else message

    # -- sessions ---------------------------------------------------------------------------------------------

    def all(self, text: str = "", *, forgotten: bool = False) -> list[SessionRecord]:
        """Pinned ones first, then the last that was spoken in. ``text`` must be in the name or in a message."""
        like = "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        rows = self._db.rows(LIST + SEARCH, forgotten, like, like, like)
        return [_session(row) for row in rows]

    def names(self) -> list[str]:
        return [row["name"] for row in self._db.rows("SELECT name FROM sessions WHERE forgotten = '' ORDER BY pinned DESC, changed DESC")]

    def find(self, name: str) -> SessionRecord | None:
        row = self._db.row(LIST + "WHERE name = ?", name)
        return _session(row) if row else None

    def get_session(self, name: str) -> SessionRecord:
        """Raises ``NotFound`` with near matches."""
        found = self.find(name)
        if found is None:
            raise NotFound.named("conversation", name, self.names(), "`sessions` lists them; `clear --name NAME` begins one.")
        return found

    def begin(self, name: str) -> None:
        """Make a session that is not there yet."""
        with self._db.transaction() as connection:
            _begin(connection, name)

    def change(self, name: str, how: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Let ``how`` change the settings of a session, alone among all processes; returns them."""
        with self._db.transaction() as connection:
            _begin(connection, name)
            settings: dict[str, Any] = json.loads(connection.execute("SELECT settings FROM sessions WHERE name = ?", (name,)).fetchone()["settings"])
            how(settings)
            connection.execute("UPDATE sessions SET settings = ? WHERE name = ?", (json.dumps(settings), name))
            return settings

    def settings(self, name: str) -> dict[str, Any]:
        row = self._db.row("SELECT settings FROM sessions WHERE name = ?", name)
        return json.loads(row["settings"]) if row else {}

    def pin(self, name: str, *, pinned: bool) -> None:
        self._db.write("UPDATE sessions SET pinned = ? WHERE name = ?", pinned, name)

    def forget(self, name: str, *, forgotten: bool) -> None:
        """Put a session away, or take it out again; its messages stay."""
        self._db.write("UPDATE sessions SET forgotten = ? WHERE name = ?", now() if forgotten else "", name)

    def rename(self, name: str, new: str) -> None:
        """Raises ``BitternError`` when the new name is taken."""
        with self._db.transaction() as connection:
            if connection.execute("SELECT 1 FROM sessions WHERE name = ?", (new,)).fetchone():
                raise BitternError(f"There is a conversation called “{new}” already.", "Choose another name.")
            connection.execute("UPDATE sessions SET name = ? WHERE name = ?", (new, name))
            connection.execute("UPDATE messages SET session = ? WHERE session = ?", (new, name))

    def erase(self, name: str) -> None:
        """Remove a session and all its messages for good."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM messages WHERE session = ?", (name,))
            connection.execute("DELETE FROM sessions WHERE name = ?", (name,))


def _begin(connection: sqlite3.Connection, name: str) -> int:
    """The leaf of a session, which is made where it is not there."""
    row = connection.execute("SELECT leaf FROM sessions WHERE name = ?", (name,)).fetchone()
    if row is None:
        connection.execute("INSERT INTO sessions (name, created, changed) VALUES (?, ?, ?)", (name, now(), now()))
        return 0
    return int(row["leaf"])


def _place(connection: sqlite3.Connection, leaf: int, role: str) -> int:
    """Where a message goes that names no parent: under the leaf; but a question goes beside one that has no answer, which
    another process may be about to give."""
    above = connection.execute(
        "SELECT parent FROM messages WHERE id = ? AND role = 'user' AND NOT EXISTS (SELECT 1 FROM messages AS below WHERE below.parent = messages.id)",
        (leaf,),
    ).fetchone()
    return int(above["parent"]) if above and role == "user" else leaf


def _message(row: Any, siblings: tuple[int, ...] = ()) -> MessageRecord:
    values = dict(row)
    values["facts"] = json.loads(values["facts"])
    return MessageRecord(**values, siblings=siblings)


def _session(row: Any) -> SessionRecord:
    values = dict(row)
    values["settings"] = json.loads(values["settings"])
    values["pinned"] = bool(values["pinned"])
    return SessionRecord(**values)
