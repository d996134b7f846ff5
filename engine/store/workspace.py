"""A workspace: its folder, its settings and its tables. What every room of the engine is handed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from engine.errors import DiskFull, WorkspaceError
from engine.paths import Paths
from engine.settings import Settings
from engine.store.ballots import BallotTable
from engine.store.database import Database
from engine.store.datasets import DatasetTable
from engine.store.indexes import IndexTable
from engine.store.jobs import JobTable
from engine.store.models import ModelTable
from engine.store.peaks import PeakTable
from engine.store.presets import PresetTable
from engine.store.runs import RunTable
from engine.store.sessions import SessionTable
from engine.store.versions import VersionTable

if TYPE_CHECKING:
    from pathlib import Path

RESERVE = 1 << 20
"""Bytes of disk that are kept back for the day when there are no others."""


class Workspace:
    """Opened by each process on its own (a job's child too); SQLite keeps them from harming each other."""

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        """Raises ``WorkspaceError`` when the folder cannot be made or read, ``DiskFull``."""
        self.paths = Paths(root)
        try:
            self.paths.make()
        except OSError as error:
            raise WorkspaceError(f"{root}: {error.strerror}.", "Choose another folder with --workspace DIR or BITTERN_HOME.") from None
        self._keep_room()
        self.settings = settings or Settings.load(root)
        self.database = self._opened()
        self.datasets = DatasetTable(self.database)
        self.versions = VersionTable(self.database)
        self.models = ModelTable(self.database)
        self.indexes = IndexTable(self.database)
        self.jobs = JobTable(self.database)
        self.peaks = PeakTable(self.database)
        self.runs = RunTable(self.database)
        self.ballots = BallotTable(self.database)
        self.sessions = SessionTable(self.database)
        self.presets = PresetTable(self.database)

    def give_room(self) -> None:
        """Free the reserve: on a full disk, so that what happened can still be written down. The next start of a
        Bittern here makes it anew."""
        with suppress(OSError):
            self.paths.reserve.unlink(missing_ok=True)

    def _opened(self) -> Database:
        """The database; on a full disk by the room of the reserve, so that a person can look what to remove."""
        try:
            return Database(self.paths.database)
        except DiskFull:
            self.give_room()
            return Database(self.paths.database)

    def _keep_room(self) -> None:
        if not self.paths.reserve.is_file():
            try:
                # Not in one step that a kill could leave half done, but a shorter reserve does no harm.
                self.paths.reserve.write_bytes(b"\0" * RESERVE)
            except OSError:  # Half a reserve would take the last bytes of a full disk.
                self.give_room()

    def recall(self, key: str, otherwise: str = "") -> str:
        """A remembered choice: ``model``, ``dataset``, ``session``, …"""
        row = self.database.row("SELECT value FROM settings WHERE key = ?", key)
        return str(row["value"]) if row else otherwise

    def remember(self, key: str, value: str) -> None:
        self.database.write("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", key, value)

    def close(self) -> None:
        self.database.close()
