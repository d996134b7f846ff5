"""Looks at a file before, or after, a reader refuses it: which line, which column, and what to do about it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.jobs.context import JobContext

FIELD_LIMIT = 1 << 26
"""Characters that one CSV field may hold; beyond it a quote was surely left open."""
BOMB_BYTES, BOMB_RATIO = 1 << 28, 1000
"""A Parquet row group that unpacks to more than this, and to so many times its size on disk, is refused."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a CSV file is written. ``quoting`` is the csv module's number: 0 for quotes, 3 for none."""

    delimiter: str
    encoding: str
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL


def csv_layout(path: Path, delimiter: str, encoding: str) -> Layout:
    """The layout as given, or as the file's first bytes show it. Raises ``DataError`` for an unreadable encoding."""
    with path.open("rb") as file:
        head = file.read(65536)
    if not head.strip():
        raise DataError(f"{path.name} is empty.", "A CSV file needs a line with the names of its columns, and rows below it.")
    encoding = encoding or ("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig" if head[:3] == b"\xef\xbb\xbf" else "utf-8")
    if delimiter:
        return Layout(delimiter, encoding)
    if path.suffix.lower() in (".tsv", ".tab"):
        return Layout("\t", encoding)
    try:
        lines = head.decode(encoding, "ignore").splitlines(keepends=True)
    except LookupError:
        raise DataError(f"There is no encoding “{encoding}”.", "Common ones are utf-8, cp1252, latin-1 and utf-16.") from None
    return Layout(_sniff(lines[:-1] if len(head) == 65536 else lines), encoding)


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


def check_csv(job: JobContext, path: Path, layout: Layout) -> Layout:
    """Walk the whole file: every row must have as many fields as the header, every quote must close.

    Returns the layout that holds (a TSV file often has no quoting at all). Raises ``DataError`` with file, line and
    column; ``Stopped``.
    """
    try:
        for _ in _records(job, path, layout):
            pass
    except DataError:
        if layout.delimiter != "\t" or layout.quoting == csv.QUOTE_NONE:
            raise
        try:
            return check_csv(job, path, replace(layout, quoting=csv.QUOTE_NONE))
        except DataError:
            pass
        raise
    return layout


def csv_kinds(job: JobContext, path: Path, layout: Layout) -> list[str]:
    """The type that fits every value of each column: ``int64``, ``float64`` or ``string``."""
    kinds: list[str] = []
    for number, row in enumerate(_records(job, path, layout)):
        if number == 0:
            kinds = ["int64"] * len(row)
            continue
        for column, value in enumerate(row):
            if kinds[column] == "int64" and not re.fullmatch(r"[+-]?\d{1,18}", value.strip()):
                kinds[column] = "float64"  # an empty value too: whole numbers have no way to say “nothing” in pandas
            if kinds[column] == "float64" and value and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value.strip()):
                kinds[column] = "string"
    return kinds


def _records(job: JobContext, path: Path, layout: Layout) -> Iterator[list[str]]:
    csv.field_size_limit(FIELD_LIMIT)
    size, header, raw = path.stat().st_size, [], []  # type: int, list[str], list[str]

    def lines(file: TextIO) -> Iterator[str]:
        for line in file:
            raw.append(line)
            yield line

    try:
        with path.open("rb") as binary, io.TextIOWrapper(binary, encoding=layout.encoding, newline="") as file:
            reader = csv.reader(lines(file), delimiter=layout.delimiter, quoting=layout.quoting)
            while True:
                start = reader.line_num + 1
                raw.clear()
                try:
                    row = next(reader)
                except StopIteration:
                    break
                except csv.Error as error:
                    raise DataError(f"{path.name}, line {start}: {_csv_words(error)}.", 'Look for a quote (") that is never closed.') from None
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                header = header or row
                if len(row) != len(header) or reader.line_num > start:
                    _check_row(path, layout, start, header, row, raw)
                yield row
                if start % 2000 == 0:
                    job.check()
                    job.progress(min(size, binary.tell()), size, "bytes", f"checking {path.name}")
    except UnicodeError:
        raise _bad_text(path, layout.encoding) from None
    except LookupError:
        raise DataError(f"There is no encoding “{layout.encoding}”.", "Common ones are utf-8, cp1252, latin-1 and utf-16.") from None


def _check_row(path: Path, layout: Layout, line: int, header: list[str], row: list[str], raw: list[str]) -> None:
    here = f"{path.name}, line {line}"
    try:
        list(csv.reader(raw, delimiter=layout.delimiter, quoting=layout.quoting, strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            raise DataError(
                f'{here}, column {len(row)}: a quote (") opens here and is never closed.', "Close it, or double a quote that belongs to the text."
            ) from None
    if len(row) > len(header):
        hint = f"Put a text that holds “{layout.delimiter}” in quotes, or name another --delimiter."
        raise DataError(f"{here}, column {len(header) + 1}: {len(row)} fields where the header names {len(header)}.", hint)
    if len(row) < len(header):
        missing = header[len(row)]
        raise DataError(
            f"{here}, column {len(row) + 1}: “{missing}” is missing ({len(row)} fields where the header names {len(header)}).",
            "Complete the line or take it out.",
        )


def _csv_words(error: csv.Error) -> str:
    return f"a field of more than {FIELD_LIMIT >> 20} million characters" if "field larger" in str(error) else str(error)


def _bad_text(path: Path, encoding: str) -> DataError:
    """Where the first bytes stand that are not text in ``encoding``; columns count characters from 1."""
    hint = "Say how it is written, for example: --encoding cp1252 (older Windows files), latin-1 or utf-16."
    if encoding.startswith("utf-16"):
        return DataError(f"{path.name} is not {encoding} text.", hint)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeError as error:
                at = error.start if isinstance(error, UnicodeDecodeError) else 0
                column = len(line[:at].decode(encoding, "replace")) + 1
                return DataError(f"{path.name}, line {number}, column {column}: byte 0x{line[at]:02x} is not {encoding} text.", hint)
    return DataError(f"{path.name} is not {encoding} text.", hint)


def check_text(path: Path, encoding: str) -> None:
    """Raises ``DataError`` for a file that is not text in ``encoding``."""
    try:
        with path.open(encoding=encoding) as file:
            while file.read(1 << 20):
                pass
    except UnicodeError:
        raise _bad_text(path, encoding) from None
    except LookupError:
        raise DataError(f"There is no encoding “{encoding}”.", "Common ones are utf-8, cp1252, latin-1 and utf-16.") from None


def json_fault(job: JobContext, path: Path, encoding: str, *, strict: bool = False) -> DataError | None:
    """What is wrong with a JSON or JSON lines file, and where; ``None`` when Python reads it without complaint.

    ``strict`` (slower) also refuses what Python lets pass but other readers do not: a key that stands twice, 1e999.
    """
    hooks: dict[str, Any] = {"object_pairs_hook": _each_once, "parse_float": _finite} if strict else {}
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
            first = next((line for line in file if line.strip()), "")
            if not first:
                return DataError(f"{path.name} is empty.", "It needs one JSON object a line, or a list of objects.")
            if path.suffix.lower() != ".json" or _parses(first):
                file.seek(0)
                return _line_fault(job, path, file, hooks)
            file.seek(0)
            whole = json.load(file, **hooks)
    except UnicodeError:
        return _bad_text(path, encoding)
    except json.JSONDecodeError as error:
        return DataError(f"{path.name}, line {error.lineno}, column {error.colno}: {error.msg}.", "Mend the file there.")
    except (RecursionError, ValueError) as error:
        return DataError(f"{path.name}: {str(error) or 'nested too deeply'}.", "Bittern reads objects in a list, or one a line.")
    kinds = {type(item) for item in whole} if isinstance(whole, list) else {type(whole)}
    if kinds == {dict} or (kinds == {str} and isinstance(whole, list)):
        return None
    return DataError(f"{path.name} holds no rows.", "It needs a list of objects (or of texts), or one object a line.")


def _line_fault(job: JobContext, path: Path, file: TextIO, hooks: dict[str, Any]) -> DataError | None:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        if number % 2000 == 0:
            job.check()
            job.progress(number, None, "lines", f"checking {path.name}")
        try:
            value: Any = json.loads(line, **hooks)
        except json.JSONDecodeError as error:
            return DataError(f"{path.name}, line {number}, column {error.colno}: {error.msg}.", "Each line must be one whole JSON object.")
        except (RecursionError, ValueError) as error:
            return DataError(f"{path.name}, line {number}: {str(error) or 'nested too deeply'}.", "Each line must be one whole JSON object.")
        if not isinstance(value, dict if hooks else (dict, list)):
            return DataError(
                f"{path.name}, line {number}, column 1: there is no object here, but {line.strip()[:20]}.", "Each line must be one JSON object."
            )
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key “{next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))}” stands twice in one object")
    return found


def _finite(number: str) -> float:
    if (value := float(number)) in (float("inf"), float("-inf")):
        raise ValueError(f"{number[:40]} is too large for a number")
    return value


def _parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def check_parquet(path: Path) -> None:
    """Raises ``DataError`` for what is no Parquet file, or one whose row groups would not fit into memory."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path.name} is not a Parquet file that can be read: {_first_line(error)}", "Write it again, without encryption.") from None
    free = free_memory()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        unpacked = group.total_byte_size
        packed = sum(group.column(column).total_compressed_size for column in range(group.num_columns))
        if unpacked > free // 2 or (unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * max(1, packed)):
            raise DataError(
                f"{path.name}: row group {number} holds {packed:,} bytes that unpack to {unpacked:,}.",
                f"That is no safe size here ({free >> 20:,} MB of memory are free). Write the file again with smaller row groups.",
            )


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


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
