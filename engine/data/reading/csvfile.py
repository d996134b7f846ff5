"""CSV and TSV files: how one is written (sniffed, or as said), a walk that finds every bad row, and a copy without them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.data.reading import encoding as encodings
from engine.data.reading.faults import Fault, LeftOut, Survey
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext

FIELD_LIMIT = 1 << 26
"""Characters that one CSV field may hold; beyond it a quote was surely left open."""
HEAD = 65536
Header = Literal["auto", "yes", "no"]
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BROKEN = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a CSV file is written. ``quoting`` is the csv module's number: 0 for quotes, 3 for none; ``names`` are the
    columns, from the header where there is one (``header``); ``guessed`` says that its absence was found, not told."""

    delimiter: str
    encoding: str
    names: tuple[str, ...] = ()
    header: bool = True
    guessed: bool = False
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL

    def words(self) -> str:
        """“commas, utf-8, names in its first line”."""
        kinds = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
        header = "names in its first line" if self.header else "no names in its first line"
        return f"{kinds.get(self.delimiter, f'“{self.delimiter}”')}, {self.encoding}, {header}"


def layout_of(job: JobContext, path: Path, delimiter: str = "", encoding: str = "", header: Header = "auto") -> Layout:
    """The layout as given, or as the file shows it. Raises ``DataError`` for an empty file or an unreadable encoding."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip():
        raise DataError(f"{path.name} is empty.", "A CSV file needs a line with the names of its columns, and rows below it.")
    encoding = encodings.find(job, path, encoding)
    lines = head.decode(encoding, "ignore").splitlines(keepends=True)
    lines = lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines
    delimiter = delimiter or ("\t" if path.suffix.lower() in (".tsv", ".tab") else _sniff(lines))
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row and (len(row) > 1 or row[0].strip())]
    if not rows:
        raise DataError(f"{path.name} holds no rows.", "There is nothing in it to add.")
    named = header == "yes" or (header == "auto" and _has_header(rows))
    return Layout(delimiter, encoding, header_names(rows[0], named=named), named, header == "auto")


def _sniff(lines: list[str]) -> str:
    """The delimiter that cuts the most rows into as many fields as the header has; a comma unless another is better."""
    best, found = 0, ","
    for delimiter in (",", ";", "\t", "|"):
        rows = [row for row in csv.reader(lines[:200], delimiter=delimiter) if row]
        width = len(rows[0]) if rows else 0
        fits = sum(len(row) == width for row in rows) * (width > 1)
        if fits > best:
            best, found = fits, delimiter
    return found


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns. It does, unless it looks like the rows below: a number over numbers, a
    value that comes back in its own column, or a text far too long for a name."""
    first, rest = rows[0], [row for row in rows[1:500] if len(row) == len(rows[0])]
    if not rest:
        return True
    for column, name in enumerate(first):
        values = [row[column] for row in rest if row[column].strip()]
        numbers = sum(bool(_NUMBER.fullmatch(value.strip())) for value in values)
        if _NUMBER.fullmatch(name.strip()) and values and numbers > 0.9 * len(values):
            return False
        if name.strip() and values.count(name) > max(1, len(values) // 100) and sum(row == first for row in rest) < values.count(name):
            return False
        if len(name) > 100 and values and sum(map(len, values)) / len(values) > 30:
            return False
    return True


def header_names(first: list[str], *, named: bool) -> tuple[str, ...]:
    """The columns' names: none twice, none empty."""
    found: list[str] = []
    for number, field in enumerate(first, start=1):
        name = plain = (field.strip() if named else "") or f"column_{number}"
        again = 2
        while name in found:
            name, again = f"{plain}_{again}", again + 1
        found.append(name)
    return tuple(found)


def walk(job: JobContext, path: Path, layout: Layout) -> Iterator[list[str] | Fault]:
    """Every row below the header, or what is wrong with it: as many fields as there are names, every quote closed.

    A quote that is never closed swallows the lines after it: they are given back, and read as rows of their own.
    Raises ``Stopped``; ``DataError`` for bytes that can't be passed over (utf-16).
    """
    csv.field_size_limit(FIELD_LIMIT)
    size, number, header = path.stat().st_size, 0, layout.header
    raw: list[str] = []
    back: deque[str] = deque()
    wide = layout.encoding.startswith(("utf-16", "utf-32"))

    def lines() -> Iterator[str]:
        while True:
            line = back.popleft() if back else file.readline()
            if not line:
                return
            raw.append(line)
            yield line

    try:
        with path.open("rb") as binary, io.TextIOWrapper(binary, layout.encoding, "strict" if wide else "surrogateescape", newline="") as file:
            reader = csv.reader(lines(), delimiter=layout.delimiter, quoting=layout.quoting)
            while True:
                raw.clear()
                try:
                    row = next(reader)
                    fault = _fault(path, layout, number + 1, row, raw)
                except StopIteration:
                    return
                except csv.Error as error:
                    fault = Fault(path.name, number + 1, 0, _words(error), 'Look for a quote (") that is never closed.', raw[0])
                if fault and len(raw) > 1:
                    back.extendleft(reversed(raw[1:]))
                    del raw[1:]
                    reader = csv.reader(lines(), delimiter=layout.delimiter, quoting=layout.quoting)
                number += len(raw)
                if not fault and (not row or (len(row) == 1 and not row[0].strip())):
                    continue
                if header:
                    header = False
                    if not fault:
                        continue
                yield fault or row
                if number % 2000 == 0:
                    job.check()
                    job.progress(min(size, binary.tell()), size, "bytes", f"checking {path.name}")
    except UnicodeError:
        raise DataError(f"{path.name} is not {layout.encoding} text.", f"Say how it is written: --encoding NAME. {encodings.COMMON}") from None


def _fault(path: Path, layout: Layout, line: int, row: list[str], raw: list[str]) -> Fault | None:
    width = len(layout.names)
    text = "".join(raw) if len(raw) > 1 else raw[0]
    if not text.isascii() and (broken := _BROKEN.search(text)):
        before = text[: broken.start()]
        column, number = broken.start() - (before.rfind("\n") + 1) + 1, line + before.count("\n")
        reason = f"byte 0x{ord(broken[0]) & 0xFF:02x} is not {layout.encoding} text"
        return Fault(path.name, number, column, reason, "Say how it is written, for example: --encoding cp1252 (older Windows files).", raw[0])
    if len(row) == width and len(raw) == 1 and not text.count('"') % 2:
        return None
    if not row or (len(row) == 1 and not row[0].strip() and width > 1):
        return None
    if layout.quoting == csv.QUOTE_MINIMAL and (wrong := _wrong_quotes(raw, layout)):
        reason = f'a quote (") opens here and {wrong}'
        return Fault(path.name, line, len(row), reason, "Close it, or double a quote that belongs to the text.", raw[0])
    if len(row) > width:
        hint = f"Put a text that holds “{layout.delimiter}” in quotes, or name another --delimiter."
        return Fault(path.name, line, width + 1, f"{len(row)} fields where the header names {width}", hint, raw[0])
    if len(row) < width:
        reason = f"“{layout.names[len(row)]}” is missing ({len(row)} fields where the header names {width})"
        return Fault(path.name, line, len(row) + 1, reason, "Complete the line or take it out.", raw[0])
    return None


def _wrong_quotes(raw: list[str], layout: Layout) -> str:
    """What is wrong with a row's quotes: one is open at the end, or one closes lines later in the middle of a text."""
    try:
        list(csv.reader(raw, delimiter=layout.delimiter, quoting=layout.quoting, strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            return "is never closed"
        return "is closed lines later, within a text" if len(raw) > 1 else ""
    return ""


def _words(error: csv.Error) -> str:
    return f"a field of more than {FIELD_LIMIT >> 20} million characters" if "field larger" in str(error) else str(error)


def survey(job: JobContext, path: Path, layout: Layout, rows: int = 0) -> tuple[Survey, Layout]:
    """Look at the whole file (or its first ``rows`` good rows), and find the layout that holds: a TSV file often has no
    quoting at all. Raises ``Stopped``."""
    found = _count(job, path, layout, rows)
    if found.bad and layout.delimiter == "\t" and layout.quoting == csv.QUOTE_MINIMAL:
        plain: Layout = replace(layout, quoting=csv.QUOTE_NONE)
        again = _count(job, path, plain, rows)
        if again.bad < found.bad:
            return again, plain
    return found, layout


def _count(job: JobContext, path: Path, layout: Layout, rows: int) -> Survey:
    found = Survey()
    for row in found.count(walk(job, path, layout), rows):
        for at, value in enumerate(row):
            if (value[:1] == "0" or len(value) > 18) and len(value) > 1 and value.isdigit():
                found.codes.add(at)
            elif value and at not in found.others and not value.lstrip("-").isdigit():
                found.others.add(at)
    return found


def mend(job: JobContext, path: Path, layout: Layout, copy: Path, left: LeftOut, rows: int = 0) -> Layout:
    """Write the good rows (the first ``rows`` of them) to ``copy`` and list the others; returns the layout of the copy.

    Raises ``Stopped``.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(layout.names)
        written = 0
        for row in walk(job, path, layout):
            if isinstance(row, Fault):
                left.row(row)
                continue
            writer.writerow(row)
            written += 1
            if written == rows:
                break
    return Layout(",", "utf-8", layout.names)


def kinds(job: JobContext, path: Path, layout: Layout) -> list[str]:
    """The type that fits every value of each column: ``int64``, ``float64`` or ``string``."""
    found = ["int64"] * len(layout.names)
    for row in walk(job, path, layout):
        if isinstance(row, Fault):
            continue
        for column, value in enumerate(row):
            if found[column] == "int64" and not re.fullmatch(r"[+-]?(0|[1-9]\d{0,17})", value.strip()):
                found[column] = "float64"  # an empty value too: whole numbers have no way to say “nothing” in pandas
            if found[column] == "float64" and value and not _NUMBER.fullmatch(value.strip()):
                found[column] = "string"
    return found


def common(layouts: list[Layout]) -> tuple[str, ...]:
    """The columns that most files have, the first of them on a tie."""
    return Counter(layout.names for layout in layouts).most_common(1)[0][0]


def reader_options(layout: Layout, codes: Iterable[str] = ()) -> dict[str, Any]:
    """Only an empty field is nothing: “NA”, “null” and “None” are words that a text may well hold. ``codes`` stay text."""
    kept = {name: text_or_nothing for name in codes if name in layout.names}
    return {
        "sep": layout.delimiter, "encoding": layout.encoding, "quoting": layout.quoting, "names": list(layout.names),
        "header": 0 if layout.header else None, "keep_default_na": False, "na_values": [""],
        **({"converters": kept} if kept else {}),
    }  # fmt: skip


def text_or_nothing(value: str) -> str | None:
    """A field as it stands."""
    return value or None
