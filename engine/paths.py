"""Where a workspace keeps its things, and how a file is written so that a kill never leaves half of it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def default_home() -> Path:
    """``BITTERN_HOME``, or the platform's data directory."""
    if home := os.environ.get("BITTERN_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_path

    return user_data_path("bittern", appauthor=False)


@dataclass(frozen=True, slots=True)
class Paths:
    """The layout of a workspace."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "bittern.db"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def indexes(self) -> Path:
        return self.root / "indexes"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def quality(self) -> Path:
        """What checks found and the maps, a folder for each dataset."""
        return self.root / "quality"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def attachments(self) -> Path:
        """Pictures that went along with what was said, by their content."""
        return self.root / "attachments"

    @property
    def reserve(self) -> Path:
        return self.root / ".reserve"

    def job(self, job_id: str) -> Path:
        return self.root / "jobs" / job_id.zfill(4)

    def make(self) -> None:
        """Create every folder of the layout. Raises ``OSError``."""
        for folder in (self.datasets, self.indexes, self.models, self.runs, self.quality, self.logs, self.root / "jobs"):
            folder.mkdir(parents=True, exist_ok=True)


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` so that ``path`` holds either the old content or the new, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """:func:`write_atomic` of JSON."""
    write_atomic(path, json.dumps(data, ensure_ascii=False, indent=1))


def replace_folder(temporary: Path, final: Path) -> None:
    """Put a finished folder in its place at once; a folder that stood there is removed afterwards."""
    import shutil

    old = final.with_name(f".old-{final.name}-{os.getpid()}")
    if final.exists():
        final.replace(old)
    temporary.replace(final)
    shutil.rmtree(old, ignore_errors=True)
