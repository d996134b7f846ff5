"""Checkpoints: which of those on disk are whole, and which one to go on from."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

from engine.paths import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext

MARKER = "complete.json"
"""Written last into a checkpoint: the size of each of its files, and the seconds of training behind it."""

_NAME = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path, seconds: float) -> None:
    """Mark a checkpoint as whole, once every byte of it is on the disk."""
    sizes: dict[str, int] = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.name == MARKER:
            continue
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    write_json(folder / MARKER, {"files": sizes, "seconds": seconds})


def marker(folder: Path) -> dict[str, Any] | None:
    """What :func:`seal` wrote, or ``None`` for a checkpoint that is torn: no marker, a file short or missing."""
    try:
        found: dict[str, Any] = json.loads((folder / MARKER).read_text("utf-8"))
        whole = "trainer_state.json" in found["files"] and all((folder / name).stat().st_size == size for name, size in found["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def step_of(folder: Path) -> int:
    """The step that a checkpoint folder is named after, or -1 for another folder."""
    found = _NAME.fullmatch(folder.name)
    return int(found.group(1)) if found else -1


def newest(root: Path) -> Path | None:
    """The last whole checkpoint under ``root``. Torn ones are removed: the Trainer would count them among its own."""
    found: list[Path] = []
    for folder in sorted(root.glob("checkpoint-*"), key=step_of, reverse=True):
        if step_of(folder) < 0:
            continue
        if marker(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append(folder)
    return found[0] if found else None


def begun(job: JobContext) -> bool:
    """Whether there is a checkpoint of a job to go on from."""
    return newest(job.folder / "checkpoints") is not None
