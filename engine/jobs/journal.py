"""A job's events on disk (``events.jsonl``), so that another process, or tomorrow, can follow it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.events import Event, from_dict, to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Journal:
    """Appends one line an event and numbers them; goes on counting where an earlier attempt stopped."""

    def __init__(self, folder: Path, job_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "events.jsonl"
        self._job = job_id
        self._seq = max((event.seq for event, _ in read(self.path)), default=0)
        _end_torn_line(self.path)
        self._file = self.path.open("a", encoding="utf-8", buffering=1)

    def write(self, event: Event) -> Event:
        """Number the event, append it, and return it as written."""
        self._seq += 1
        written = replace(event, job=self._job, seq=self._seq)
        try:
            self._file.write(json.dumps(to_dict(written), ensure_ascii=False) + "\n")
        except OSError as error:
            error.filename = str(self.path)  # A write that fails names no file.
            raise
        return written

    def close(self) -> None:
        self._file.close()


def read(path: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """The events from byte ``offset`` on, each with the offset after it. A line torn by a kill is passed over."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                event = from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue
            yield event, offset


def _end_torn_line(path: Path) -> None:
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")
