"""The connection: one for each thread, WAL, migrations in a transaction, and errors that name the file."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.errors import DiskFull, WorkspaceError
from engine.store import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
"""How SQLite says that the disk is full: for a write, and for the index of its log that the first to open it makes."""


class Database:
    """A SQLite file that several threads and several processes use at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise WorkspaceError(f"{path}: {error}.", "Move the file away to start afresh, or choose another --workspace.") from None

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection. Raises ``DiskFull`` where there is no room for what SQLite keeps beside the file."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            found.row_factory = sqlite3.Row
            try:
                found.execute("PRAGMA journal_mode=WAL")
                found.execute("PRAGMA synchronous=NORMAL")
            except sqlite3.OperationalError as error:
                found.close()
                raise (self._full(error) or error) from None
            self._local.connection = found
            with self._lock:
                self._all.append(found)
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and alone among writers from the first line on. Raises ``DiskFull``."""
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise (self._full(error) or error) from None

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        return found

    def write(self, sql: str, *values: Any) -> int:
        """One statement in a transaction of its own; returns the last row's id."""
        with self.transaction() as connection:
            return connection.execute(sql, values).lastrowid or 0

    def close(self) -> None:
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def _full(self, error: sqlite3.OperationalError) -> DiskFull | None:
        """The error as a full disk, where that is what it means."""
        if error.sqlite_errorname not in FULL:
            return None
        return DiskFull(f"No space left for {self.path}.", "Free some space and try again; nothing was changed.")

    def _migrate(self) -> None:
        names = sorted(module.name for module in pkgutil.iter_modules(migrations.__path__))
        for number, name in enumerate(names, start=1):
            with self.transaction() as connection:
                # Read inside the transaction: two processes may open a new workspace at the same moment.
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > len(names):
                    raise WorkspaceError(f"{self.path} was made by a newer Bittern (version {version} of its tables).", "Update this one.")
                if version >= number:
                    continue
                sql = importlib.import_module(f"{migrations.__name__}.{name}").SQL
                for statement in sql.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
