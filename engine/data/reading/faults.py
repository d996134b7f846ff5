"""What is wrong with a source, row by row: told in one error, or listed in a file where a person chose to go on without."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")
MOST = 1000
"""Faults counted in a file before “more than” is said: nobody reads on, and each may cost a second look at many lines."""
SHOWN = 3
"""Pieces left out that are told one by one; the list has all."""
FILE = "left-out.jsonl"
"""The list of what was left out, beside the splits in a dataset's folder."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that can't be used: where it begins (``line`` and ``column`` from 1, 0 where unknown), why, and what is there;
    or ``rows`` of them that can only be read together."""

    file: str
    line: int
    column: int
    reason: str
    hint: str = ""
    raw: str = ""
    rows: int = 1

    @property
    def place(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}{f', column {self.column}' if self.column else ''}"


@dataclass(slots=True)
class Survey:
    """What a look at a whole file found: rows that are good, rows that are not, and the first of those; columns of digits
    that are no numbers (``08123``), and columns that hold anything but whole numbers, by their place."""

    good: int = 0
    bad: int = 0
    first: Fault | None = None
    more: bool = False
    codes: set[int] = field(default_factory=set)
    others: set[int] = field(default_factory=set)

    def found(self, fault: Fault) -> None:
        self.first = self.first or fault
        self.bad += fault.rows
        self.more = self.bad >= MOST

    def count(self, items: Iterable[Fault | T], rows: int = 0) -> Iterator[T]:
        """The good ones of ``items``, ``rows`` of them where that is said; those that are bad are counted until nobody reads on."""
        for item in items:
            if isinstance(item, Fault):
                self.found(item)
                if self.more:
                    return
                continue
            self.good += 1
            yield item
            if rows and self.good >= rows:
                return

    def error(self) -> DataError:
        """The first fault as an error, with the number of good rows and the offer to leave the others out."""
        fault = self.first or Fault("", 0, 0, "")
        shown = standing(fault.raw, fault.column)
        counted = f"{self.good:,} {'row is' if self.good == 1 else 'rows are'} good, {'more than ' if self.more else ''}{self.bad:,} not."
        error = DataError(f"{fault.place}: {fault.reason}.{shown} {counted}", fault.hint)
        if self.good:
            rows = "the bad row" if self.bad == 1 and not self.more else "the bad rows"
            error.offer(f"leave out {rows} and list {'it' if self.bad == 1 else 'them'}", bad="skip")
        return error


class LeftOut:
    """The list of rows left out (and of values set to nothing), one JSON object a line; no file until there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = self.values = self.parts = 0
        self._told: list[str] = []
        self._file: TextIO | None = None

    def row(self, fault: Fault) -> None:
        self.rows += fault.rows
        self._fault(fault)

    def part(self, fault: Fault) -> None:
        """A piece of a file of which nobody can say how many rows it has: a sheet, a file of an archive, what follows a break."""
        self.parts += 1
        if len(self._told) < SHOWN:
            self._told.append(f"{fault.place}: {fault.reason}")
        self._fault(fault)

    def _fault(self, fault: Fault) -> None:
        told = asdict(fault)
        self._write(
            {"file": told["file"], "line": told["line"], "column": told["column"], "reason": told["reason"], "text": visible(fault.raw, 0, 0)}
        )

    def value(self, split: str, row: int, column: str, value: str, reason: str) -> None:
        self.values += 1
        self._write({"split": split, "row": row, "column": column, "reason": reason, "text": visible(value, 0, 0)})

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, folder: Path) -> str:
        """What to say about it once the list lies in ``folder``."""
        counted = (
            (self.rows, "bad row was left out", "bad rows were left out"),
            (self.parts, "piece that can't be read was left out", "pieces that can't be read were left out"),
            (self.values, "value was emptied", "values were emptied"),
        )
        parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in counted if count]
        pieces = "".join(f" {told[:300]}." for told in self._told)
        return f"{' and '.join(parts)}: see {folder / self.path.name}.{pieces}" if parts else ""

    def _write(self, told: dict[str, Any]) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        self._file.write(json.dumps(told, ensure_ascii=False) + "\n")


def listed(folder: Path) -> int:
    """How many rows and values the list in a dataset's folder has."""
    try:
        with (folder / FILE).open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def standing(raw: str, column: int) -> str:
    """What stands at a place, as a sentence of an error; nothing where nothing does."""
    return f" There stands: “{visible(raw, column)}”." if raw.strip() else ""


def visible(raw: str, column: int, width: int = 60) -> str:
    """A piece of a line around ``column``; bytes that are no text as ``\\xe9``. ``width`` 0: all of it."""
    start = max(0, column - width // 2) if width and len(raw) > width else 0
    piece = raw[start : start + width] if width else raw
    cut = f"{'…' if start else ''}{piece.strip() if width else piece.rstrip(chr(10)).rstrip(chr(13))}{'…' if width and start + width < len(raw.rstrip()) else ''}"
    return re.sub("[\ud800-\udfff]", lambda match: f"\\x{ord(match[0]) & 0xFF:02x}", cut)
