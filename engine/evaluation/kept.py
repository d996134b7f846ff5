"""Predictions on disk: JSON lines, appended batch by batch, so that a killed evaluation goes on where it was."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def append(file: Path, predictions: Sequence[dict[str, Any]]) -> None:
    """Write predictions at the end of ``file`` and see them onto the disk."""
    with file.open("a", encoding="utf-8") as handle:
        handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
        handle.flush()
        os.fsync(handle.fileno())


def read(file: Path) -> list[dict[str, Any]]:
    """The whole lines of ``file``; a line that a kill cut short, and what follows it, are left out."""
    return _whole(file)[0]


def mend(file: Path) -> list[dict[str, Any]]:
    """:func:`read`, and make the file end after its last whole line."""
    found, size = _whole(file)
    if file.exists() and file.stat().st_size != size:
        os.truncate(file, size)
    return found


def _whole(file: Path) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    size = 0
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return found, size
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
        size += len(line) + 1
    return found, size
