"""Workbooks and SQLite databases, as Arrow files that the packaged readers of ``datasets`` take up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from engine.data.reading.csvfile import header_names
from engine.data.reading.faults import Fault
from engine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from engine.data.reading.faults import LeftOut
    from engine.data.reading.options import Options
    from engine.jobs.context import JobContext

BATCH = 10_000
STEPS = 100_000
"""SQLite's own instructions between two looks at whether a stop was asked for."""


def from_workbook(job: JobContext, path: Path, target: Path, options: Options, notes: list[str], left: LeftOut) -> None:
    """One sheet of a workbook: the one named, or the first that holds anything. Raises ``DataError``: where a sheet is
    broken with the offer to go on without it, by name."""
    import pyarrow as pa
    from python_calamine import CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
    except Exception as error:  # the library's errors have no common parent
        raise DataError(f"{path.name} can't be read: {str(error)[:200]}.", "Is it a workbook, and not locked with a password?") from None
    names = book.sheet_names
    if options.table and options.table not in names:
        raise _no_table(path, "sheet", options.table, names)
    chosen, found = "", []  # type: str, list[list[Any]]
    for chosen in [options.table] if options.table else names:
        try:
            found = _rows_of(book, chosen)
        except Exception as error:
            if options.table or options.bad != "skip":
                raise _broken_sheet(path, book, chosen, error) from None
            left.part(Fault(path.name, 0, 0, f"the sheet “{chosen}” can't be read: {str(error)[:200]}"))
        if found:
            break
    job.check()
    if not found:
        raise DataError(f"{path.name} holds no rows.", "There is nothing in it to add.")
    named = options.header != "no"
    columns = header_names(["" if value is None else str(value) for value in found[0]], named=named)
    rows = found[1 if named else 0 :]
    rows = rows[: options.rows] if options.rows else rows
    table = pa.table({name: _column([row[at] if at < len(row) else None for row in rows]) for at, name in enumerate(columns)})
    _write(target, table.schema, table.to_batches(BATCH))
    others = [name for name in names if name != chosen]
    more = f" (others: {', '.join(others[:8])}; choose with --table)" if others else ""
    notes.append(f"Read from the sheet “{chosen}”{more}.")


def _rows_of(book: Any, sheet: str) -> list[list[Any]]:
    return [row for row in book.get_sheet_by_name(sheet).to_python() if any(value != "" for value in row)]


def _broken_sheet(path: Path, book: Any, broken: str, error: Exception) -> DataError:
    """What is wrong with a sheet, and those that are good."""
    good = []
    for name in book.sheet_names:
        try:
            if name != broken and _rows_of(book, name):
                good.append(name)
        except Exception:  # noqa: S112  one more that is broken
            continue
    told = f" {len(good)} other{'s are' if len(good) > 1 else ' is'} good: {', '.join(good[:8])}." if good else ""
    refused = DataError(
        f"{path.name}: the sheet “{broken}” can't be read: {str(error)[:200].rstrip('.')}.{told}", "Save it again, or choose a sheet: --table"
    )
    if good:
        refused.offer(f"leave out the sheet “{broken}” and list it", bad="skip", table="")
    for name in good[:5]:
        refused.offer(f"add the sheet “{name}”", table=name)
    return refused


def from_database(job: JobContext, path: Path, target: Path, options: Options, notes: list[str]) -> None:
    """A table, or what a query finds, opened for reading alone. Raises ``DataError``, ``Stopped``."""
    import pyarrow as pa

    uri = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection:
            connection.set_progress_handler(lambda: int(job.token.asked), STEPS)
            query = options.query.strip().rstrip(";") or f"SELECT * FROM {_quoted(_table_of(connection, path, options))}"
            limit = f" LIMIT {options.rows}" if options.rows else ""
            inside = f"SELECT * FROM ({query}){limit}"  # within brackets nothing but a SELECT can stand
            cursor = connection.execute(f"SELECT * FROM ({query}) LIMIT 0")
            names = header_names([column[0] for column in cursor.description], named=True)
            kinds = _kinds(connection, query, [column[0] for column in cursor.description])
            schema = pa.schema([(name, kind) for name, kind in zip(names, kinds, strict=True)])
            cursor = connection.execute(inside)

            def batches() -> Iterable[pa.RecordBatch]:
                done = 0
                while rows := cursor.fetchmany(BATCH):
                    job.check()
                    done += len(rows)
                    job.progress(done, None, "rows", f"reading {path.name}")
                    columns = [pa.array([_fit(row[at], kind) for row in rows], kind) for at, kind in enumerate(kinds)]
                    yield pa.record_batch(columns, schema=schema)

            _write(target, schema, batches())
    except sqlite3.Error as error:
        job.check()
        raise DataError(f"{path.name}: {error}.", "Check the query, or name a table: --table NAME.") from None
    if not options.query and not options.table:
        notes.append("Read from its only table.")


def _table_of(connection: sqlite3.Connection, path: Path, options: Options) -> str:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")]
    if options.table:
        if options.table not in names:
            raise _no_table(path, "table", options.table, names)
        return options.table
    if not names:
        raise DataError(f"{path.name} holds no table.", "There is nothing in it to add.")
    if len(names) > 1:
        error = DataError(f"{path.name} holds {len(names)} tables: {', '.join(names[:20])}.", "Say which one: --table NAME, or --query SELECT….")
        for name in names[:6]:
            error.offer(f"add the table “{name}”", table=name)
        raise error
    return str(names[0])


def _kinds(connection: sqlite3.Connection, query: str, names: list[str]) -> list[Any]:
    """One type for each column, by what is stored in it: SQLite lets every value have its own."""
    import pyarrow as pa

    asked = ", ".join(f"group_concat(DISTINCT typeof({_quoted(name)}))" for name in names)
    found = connection.execute(f"SELECT {asked} FROM ({query})").fetchone()
    kinds = []
    for types in found:
        stored = set((types or "").split(",")) - {"null", ""}
        if stored == {"integer"}:
            kinds.append(pa.int64())
        elif stored and stored <= {"integer", "real"}:
            kinds.append(pa.float64())
        else:
            kinds.append(pa.binary() if stored == {"blob"} else pa.string())
    return kinds


def _fit(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if str(kind) == "string" and not isinstance(value, str):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return float(value) if str(kind) == "double" else value


def _column(values: list[Any]) -> Any:
    """Cells as one type: numbers stay numbers, whole ones become whole, everything mixed becomes text."""
    import pyarrow as pa

    values = [None if value == "" else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        whole = all(value is None or float(value).is_integer() for value in values)
        return pa.array([None if value is None else int(value) if whole else float(value) for value in values])
    if len(kinds) == 1 and kinds != {str}:
        try:
            return pa.array(values)
        except (ValueError, TypeError):
            pass
    return pa.array(
        [None if value is None else str(int(value) if isinstance(value, float) and value.is_integer() else value) for value in values], pa.string()
    )


def _write(target: Path, schema: Any, batches: Iterable[Any]) -> None:
    import pyarrow as pa

    target.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _no_table(path: Path, what: str, name: str, names: list[str]) -> DataError:
    return DataError(f"{path.name} has no {what} “{name}”.", f"{did_you_mean(name, names)} It has {', '.join(names[:20])}.".strip())
