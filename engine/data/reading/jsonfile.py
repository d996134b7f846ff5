"""JSON and JSON lines: a look at every row before a reader sees it, rows inside an object, and a copy without bad rows."""

from __future__ import annotations

import json
import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from engine.data.reading import encoding as encodings
from engine.data.reading.check import free_memory
from engine.data.reading.faults import Fault, LeftOut, Survey, standing
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext

UNPACKED = 12
"""How much larger a JSON text is in memory than on the disk, at worst."""
ONE_EACH = "Each line must be one whole JSON object."
DEEP = "the lists or objects in it are nested too deeply"
_BROKEN = re.compile("[\udc80-\udcff]")
Item = tuple[int, str, Any]
"""A line's number (0 in a list), its text, and its value."""


def encoding_of(job: JobContext, path: Path, given: str) -> str:
    """Raises ``DataError`` for an empty file, or an encoding that can't be told."""
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty.", "It needs one JSON object a line, or a list of objects.")
    return encodings.find(job, path, given)


def is_lines(path: Path, encoding: str) -> bool:
    """Whether each line is a value of its own: by the file's ending, or by its first line."""
    if path.suffix.lower() != ".json":
        return True
    with path.open(encoding=_marked(encoding), errors="replace") as file:
        first, second = islice(chain((line for line in file if line.strip()), ("", "")), 2)
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return False
    # One line alone may be an object that holds the rows.
    return isinstance(value, dict) and (bool(second) or not any(_lists(value, "", 2)))


def survey(job: JobContext, path: Path, encoding: str, *, strict: bool = False, rows: int = 0) -> Survey:
    """Look at every line, or at the first ``rows`` good ones. ``strict`` (slower) also refuses what Python lets pass and
    other readers do not: a key that stands twice, 1e999. Raises ``Stopped``, ``DataError``."""
    found = Survey()
    for _ in found.count(walk(job, path, encoding, strict=strict), rows):
        pass
    return found


def mend(job: JobContext, path: Path, encoding: str, copy: Path, left: LeftOut, rows: int = 0) -> None:
    """Write the good lines (the first ``rows`` of them) to ``copy`` and list the others. Raises ``Stopped``, ``DataError``."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("w", encoding="utf-8") as file:
        written = 0
        for item in walk(job, path, encoding, strict=True):
            if isinstance(item, Fault):
                left.row(item)
                continue
            file.write(f"{item[1].strip()}\n")
            written += 1
            if written == rows:
                break


def walk(job: JobContext, path: Path, encoding: str, *, strict: bool) -> Iterator[Item | Fault]:
    """The lines of a file, each with its value, or what is wrong with it."""
    hooks: dict[str, Any] = {"object_pairs_hook": _each_once, "parse_float": _finite} if strict else {}
    wide = encoding.startswith(("utf-16", "utf-32"))
    try:
        with path.open(encoding=_marked(encoding), errors="strict" if wide else "surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                if number % 2000 == 0:
                    job.check()
                    job.progress(number, None, "lines", f"checking {path.name}")
                yield _read(path.name, number, line, encoding, hooks)
    except UnicodeError:
        raise DataError(f"{path.name} is not {encoding} text.", f"Say how it is written: --encoding NAME. {encodings.COMMON}") from None


def _read(name: str, number: int, line: str, encoding: str, hooks: dict[str, Any]) -> Item | Fault:
    if not line.isascii() and (broken := _BROKEN.search(line)):
        hint = "Say how it is written, for example: --encoding cp1252 (older Windows files)."
        return Fault(name, number, broken.start() + 1, f"byte 0x{ord(broken[0]) & 0xFF:02x} is not {encoding} text", hint, line)
    try:
        value = _whole_letters(json.loads(line, **hooks), line, strict=bool(hooks))
    except json.JSONDecodeError as error:
        return Fault(name, number, error.colno, error.msg, ONE_EACH, line)
    except RecursionError:
        return Fault(name, number, 0, DEEP, ONE_EACH, line)
    except ValueError as error:
        return Fault(name, number, 0, str(error), ONE_EACH, line)
    if not isinstance(value, dict if hooks else (dict, list)):
        return Fault(name, number, 1, f"there is no object here, but {line.strip()[:20]}", "Each line must be one JSON object.", line)
    return number, line, value


def whole(path: Path, encoding: str, *, strict: bool = False) -> Any:
    """The one value that a file holds. Raises ``DataError`` with the place and the rows before it."""
    if path.stat().st_size * UNPACKED > free_memory():
        raise DataError(f"{path.name} is too large to be read in one piece.", "Write it as JSON lines: one object a line.")
    hooks: dict[str, Any] = {"object_pairs_hook": _each_once, "parse_float": _finite} if strict else {}
    try:
        text = path.read_text(_marked(encoding))
    except UnicodeDecodeError as error:
        raise encodings.unreadable(path, encoding, error.start) from None
    except UnicodeError:
        raise DataError(f"{path.name} is not {encoding} text.", encodings.COMMON) from None
    if not text.strip():
        raise DataError(f"{path.name} is empty.", "It needs one JSON object a line, or a list of objects.")
    try:
        return _whole_letters(json.loads(text, **hooks), text, strict=strict)
    except json.JSONDecodeError as error:
        good, _ = items(text)
        rows = "row" if len(good) == 1 else f"{len(good):,} rows"
        counted = f" {len(good):,} {'row before it is' if len(good) == 1 else 'rows before it are'} good." if good else ""
        there = standing(text[error.pos - error.colno + 1 :].partition("\n")[0], error.colno) or " The file ends there."
        refused = DataError(f"{path.name}, line {error.lineno}, column {error.colno}: {error.msg}.{there}{counted}", "Mend the file there.")
        raise (refused.offer(f"keep the {rows} before it and list the rest", bad="skip") if good else refused) from None
    except (RecursionError, ValueError) as error:
        said = DEEP if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{path.name}: {said}.", "Bittern reads objects in a list, or one a line.") from None


def rescue(path: Path, encoding: str, left: LeftOut) -> list[dict[str, Any]]:
    """The objects of a list up to the first fault; what follows is listed as left out."""
    text = path.read_text(_marked(encoding), errors="surrogateescape")
    good, at = items(text)
    if at < len(text):
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        left.row(Fault(path.name, line, column, "the file is broken from here on", raw=text[at:]))
    return good


def items(text: str) -> tuple[list[dict[str, Any]], int]:
    """The objects of a list that can be read before its first fault, and where they end."""
    decoder, found = json.JSONDecoder(), []  # type: json.JSONDecoder, list[dict[str, Any]]
    start = re.match(r"\s*\[\s*", text)
    at = start.end() if start else len(text)
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        after = re.compile(r"\s*(,\s*|\]\s*$)").match(text, end)
        if not isinstance(value, dict) or after is None:
            break
        found.append(value)
        at = after.end()
    return found, at


def rows_in(path: Path, value: Any, field: str) -> tuple[list[Any] | None, str]:
    """The rows inside a value: at ``field`` (keys with dots), or in the only list of objects that an object holds.

    ``None`` where the value is rows as it stands. Raises ``DataError`` with the lists that there are.
    """
    lists = dict(_lists(value, "", 2)) if isinstance(value, dict) else {}
    if field:
        inside = value
        for key in field.split("."):
            inside = inside.get(key) if isinstance(inside, dict) else None
        if not isinstance(inside, list) or not inside:
            known = f"Lists of objects are at: {', '.join(lists)}." if lists else "It holds no list of objects."
            raise DataError(f"{path.name} has no rows at “{field}”.", known)
        return inside, field
    if len(lists) == 1:
        return next(iter(lists.values())), next(iter(lists))
    if len(lists) > 1 and all(isinstance(part, (list, dict)) for part in value.values()):
        error = DataError(f"{path.name} holds {len(lists)} lists of objects: {', '.join(lists)}.", "Say which one is meant: --field NAME.")
        for name in list(lists)[:4]:
            error.offer(f"take the {len(lists[name]):,} rows of “{name}”", field=name)
        raise error
    kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
    if kinds == {dict} or (kinds == {str} and isinstance(value, list)):
        return None, ""
    if isinstance(value, list) and dict in kinds:
        at = next(number for number, item in enumerate(value) if not isinstance(item, dict))
        good = sum(isinstance(item, dict) for item in value)
        message = f"{path.name}: element {at} of the list is no object, but {json.dumps(value[at])[:40]}. {good:,} of {len(value):,} rows are good."
        raise DataError(message, "All rows need to be objects.").offer("leave out what is no object and list it", bad="skip")
    raise DataError(f"{path.name} holds no rows.", "It needs a list of objects (or of texts), or one object a line.")


def write(rows: list[Any], copy: Path, name: str, left: LeftOut) -> None:
    """``rows`` as JSON lines; what is no object is listed, unless all of them are texts."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    texts = all(isinstance(row, str) for row in rows)
    with copy.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            if isinstance(row, dict) or texts:
                file.write(json.dumps({"text": row} if texts else row) + "\n")
            else:
                left.row(Fault(name, 0, 0, f"element {number} of the list is no object", raw=json.dumps(row, ensure_ascii=False)))


def _lists(value: dict[str, Any], lead: str, depth: int) -> Iterator[tuple[str, list[Any]]]:
    """The lists of objects in an object, each with the keys that lead to it."""
    for key, inside in value.items():
        if isinstance(inside, list) and inside and all(isinstance(item, dict) for item in inside):
            yield f"{lead}{key}", inside
        elif isinstance(inside, dict) and depth > 1:
            yield from _lists(inside, f"{lead}{key}.", depth - 1)


def _marked(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _whole_letters(value: Any, text: str, *, strict: bool) -> Any:
    """``value``, unless an escape in it is half of a letter (a lone surrogate). Raises ``ValueError``."""
    if strict and "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"\\u{ord(error.object[error.start]):04x} is half of a letter (a lone surrogate)") from None
    return value


def recode(path: Path, encoding: str, copy: Path) -> None:
    """The same text as UTF-8, which is all that the reader understands well."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with path.open(encoding=encoding, newline="") as old, copy.open("w", encoding="utf-8", newline="") as new:
        while block := old.read(1 << 20):
            new.write(block)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key “{next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))}” stands twice in one object")
    return found


def _finite(number: str) -> float:
    if (value := float(number)) in (float("inf"), float("-inf")):
        raise ValueError(f"{number[:40]} is too large for a number")
    return value
