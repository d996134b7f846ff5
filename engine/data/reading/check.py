"""Looks at text and Arrow files before a reader takes them: which place is broken, and what memory there is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.reading.faults import Fault, LeftOut, Survey
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.jobs.context import JobContext

_BROKEN = re.compile("[\udc80-\udcff]")


def is_text(path: Path, encoding: str) -> bool:
    """Whether all of a file is text in ``encoding``."""
    try:
        with path.open(encoding=encoding) as file:
            while file.read(1 << 20):
                pass
    except UnicodeError:
        return False
    return True


def survey_text(job: JobContext, path: Path, encoding: str) -> Survey:
    """The lines that hold bytes that are no text. Raises ``Stopped``."""
    found = Survey()
    for _ in found.count(_lines(job, path, encoding)):
        pass
    return found


def mend_text(job: JobContext, path: Path, encoding: str, copy: Path, left: LeftOut) -> None:
    """Write the good lines to ``copy`` and list the others. Raises ``Stopped``."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("w", encoding="utf-8", newline="") as file:
        for line in _lines(job, path, encoding):
            left.row(line) if isinstance(line, Fault) else file.write(line)


def _lines(job: JobContext, path: Path, encoding: str) -> Iterator[str | Fault]:
    hint = "Say how it is written, for example: --encoding cp1252 (older Windows files), latin-1 or utf-16."
    if encoding.startswith(("utf-16", "utf-32")):
        raise DataError(f"{path.name} is not {encoding} text.", hint)
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        for number, line in enumerate(file, start=1):
            if number % 2000 == 0:
                job.check()
            if not line.isascii() and (broken := _BROKEN.search(line)):
                reason = f"byte 0x{ord(broken[0]) & 0xFF:02x} is not {encoding} text"
                yield Fault(path.name, number, broken.start() + 1, reason, hint, line)
            else:
                yield line


def text_unit(path: Path, encoding: str) -> str:
    """Paragraphs where blank lines part them, lines where none do."""
    with path.open(encoding=encoding) as file:
        head = file.read(65536).strip()
    return "paragraph" if "\n\n" in head else "line"


def text_head(path: Path, encoding: str, copy: Path, rows: int, unit: str) -> Path:
    """A copy of the first ``rows`` lines or paragraphs."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    written, blank = 0, True
    with path.open(encoding=encoding, newline="") as old, copy.open("w", encoding=encoding, newline="") as new:
        for line in old:
            starts = unit == "line" or (blank and bool(line.strip()))
            if starts and written == rows:
                break
            written += starts
            blank = not line.strip()
            new.write(line)
    return copy


def free_memory() -> int:
    """Bytes of memory that can be had now; 4 GB where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _reclaimable()
    except (AttributeError, OSError, ValueError):
        return 4 << 30


def _reclaimable() -> int:
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file)}
    except (OSError, ValueError, IndexError):
        return 0
    return max(0, kilobytes.get("MemAvailable", 0) - kilobytes.get("MemFree", 0)) * 1024


def first_line(error: BaseException) -> str:
    """What an error says first."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
