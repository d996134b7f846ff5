"""What was worked out once is kept, by the fingerprint of the rows it is about."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from engine.paths import write_atomic
from engine.quality.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store.workspace import Workspace

VERSION = 1
"""Raised when the way things are found changes, so that nothing old is served."""
KEEP = 8


def path_of(workspace: Workspace, dataset: str, kind: str, about: list[object], suffix: str) -> Path:
    """Where the result of a ``kind`` (check, map) belongs that depends on ``about``."""
    told = hashlib.sha256(json.dumps([VERSION, kind, *about], default=str).encode()).hexdigest()[:12]
    return workspace.paths.quality / dataset / f"{kind}-{told}{suffix}"


def newest(workspace: Workspace, dataset: str, kind: str, suffix: str) -> list[Path]:
    """The results of that kind, the last one that was made or asked for first."""
    folder = workspace.paths.quality / dataset
    found = [path for path in folder.glob(f"{kind}-*{suffix}") if path.is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda path: -path.stat().st_mtime_ns)


def put_report(workspace: Workspace, path: Path, report: Report) -> None:
    # Without the indentation of `write_json`, which takes ten times as long for a large report.
    write_atomic(path, json.dumps(report.as_dict(), ensure_ascii=False))
    for old in newest(workspace, report.dataset, "check", ".json")[KEEP:]:
        old.unlink(missing_ok=True)


def read_report(path: Path) -> Report | None:
    """The report in a file, and it is the newest from now on; none for a file that is not there or not readable."""
    try:
        report = Report.from_dict(json.loads(path.read_text("utf-8")))
        os.utime(path)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return report


def last_report(workspace: Workspace, dataset: str) -> Report | None:
    """What the last check of a dataset found, whatever it was asked for."""
    return next((report for path in newest(workspace, dataset, "check", ".json") if (report := read_report(path))), None)
