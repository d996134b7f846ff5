"""SQL over datasets: DuckDB on the memory-mapped Arrow files, for reading alone, with no way to a file or the network.

A dataset is a table of all its rows, with the columns ``_split`` and ``_row`` before its own; each split is a table too:
``tickets`` and ``tickets.test``. A name with a dash needs quotes (``"cls-news"``), or is written with underscores
(``cls_news``).
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.rows import open_folder, split_folder
from engine.errors import DataError, Stopped, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from engine.jobs.context import CancelToken
    from engine.store.datasets import DatasetRecord

SPLIT, ROW = "_split", "_row"
"""The two columns beside a dataset's own: which split, and which row of it, counted from 0."""

ARROW, PLAN = "_arrow_", "EXPLAIN "
SHOWN = 12
"""Columns named to somebody who asked for one that is not there."""


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def alias(name: str) -> str:
    """The name that needs no quotes: ``cls-news`` is ``cls_news``."""
    return re.sub(r"\W", "_", name)


def mentioned(statement: str, records: Iterable[DatasetRecord]) -> list[DatasetRecord]:
    """The datasets that a statement may speak of."""
    return [record for record in records if record.name in statement or alias(record.name) in statement]


class Sql:
    """A connection over some datasets. One statement at a time; each only reads. Nothing of it outlives ``close``."""

    def __init__(self, records: Iterable[DatasetRecord], *, threads: int = 0, memory: int = 0, known: Iterable[str] = ()) -> None:
        """``threads`` 0: one for each core. ``memory``: a limit in bytes; 0 leaves DuckDB its own (four fifths of all).
        ``known``: names of other datasets, for near matches. Raises ``DataError`` for damaged files."""
        import duckdb

        records = list(records)
        self._known, self._features = list(known), [name for record in records for name in record.features]
        self._connection: Any = duckdb.connect(":memory:")
        for name, value in {
            "python_enable_replacements": False, "autoinstall_known_extensions": False, "autoload_known_extensions": False,
            # What does not fit into memory goes here, not into the folder that the person happens to be in; DuckDB removes it.
            "temp_directory": Path(tempfile.gettempdir()) / f"bittern-sql-{uuid.uuid4().hex[:12]}",
            "max_temp_directory_size": "10GB", "errors_as_json": True,
            **({"threads": threads} if threads else {}), **({"memory_limit": f"{memory}B"} if memory else {}),
        }.items():  # fmt: skip
            self._connection.execute(f"SET {name} = {text(str(value))}")
        self._number = 0
        for record in records:
            self._register(record)
        # From here on nothing can be read but what is registered, and no statement can change that.
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def table(self, statement: str, values: Sequence[Any] = (), *, cancel: CancelToken | None = None, seconds: float = 0) -> pa.Table:
        """The answer of a ``SELECT``, whole. ``values`` fill its ``?``. Raises ``DataError``; ``Stopped`` on cancel."""
        with self._running(statement, cancel, seconds):
            found: pa.Table = self._connection.sql(statement, params=list(values)).to_arrow_table()
            return found

    def batches(
        self, statement: str, values: Sequence[Any] = (), *, cancel: CancelToken | None = None, seconds: float = 0, size: int = 10_000
    ) -> Iterator[pa.RecordBatch]:
        """The answer of a ``SELECT``, piece by piece, for what may not fit into memory; without rows, one empty piece
        that has the columns. Raises as :meth:`table` does."""
        import pyarrow as pa

        with self._running(statement, cancel, seconds):
            reader = self._connection.sql(statement, params=list(values)).to_arrow_reader(size)
            try:
                some = False
                for batch in reader:
                    some = True
                    yield batch
                if not some:
                    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            finally:
                # An error keeps this frame alive, and with it DuckDB's threads, until after the program's last word.
                reader.close()
                del reader

    def types(self, table: str) -> list[tuple[str, Any]]:
        """The columns of a table, each with DuckDB's type: ``str`` of it is its SQL, ``children`` what it is made of."""
        found = self._connection.sql(f"SELECT * FROM {table} LIMIT 0")
        return list(zip(found.columns, found.types, strict=True))

    def plan(self, statement: str) -> None:
        """Read and bind a ``SELECT`` without running it. Raises ``DataError``."""
        with self._running(statement, None, 0):
            self._connection.execute(PLAN + statement)

    def close(self) -> None:
        # Given up at once: an error's frames would keep it, and it must not end after the interpreter began to.
        connection, self._connection = self._connection, None
        connection.close()

    def __enter__(self) -> Sql:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _register(self, record: DatasetRecord) -> None:
        run = self._connection.execute
        name = quoted(record.name)
        run(f"CREATE SCHEMA {name}")
        for split in record.splits:
            arrow = f"{ARROW}{self._number}"
            self._number += 1
            self._connection.register(arrow, open_folder(split_folder(record, split)).table())
            # DuckDB leaves out the window where nobody asks for the row's number.
            own = "".join(f" EXCLUDE ({column})" for column in (ROW,) if column in record.features)
            run(f"CREATE VIEW {name}.{quoted(split)} AS SELECT row_number() OVER () - 1 AS {ROW}, *{own} FROM {arrow}")
        parts = (f"SELECT {text(split)} AS {SPLIT}, * FROM {name}.{quoted(split)}" for split in record.splits)
        run(f"CREATE VIEW main.{name} AS {' UNION ALL BY NAME '.join(parts)}")
        if (plain := alias(record.name)) != record.name:
            run(f"CREATE SCHEMA IF NOT EXISTS {quoted(plain)}")
            run(f"CREATE VIEW IF NOT EXISTS main.{quoted(plain)} AS SELECT * FROM main.{name}")
            for split in record.splits:
                run(f"CREATE VIEW IF NOT EXISTS {quoted(plain)}.{quoted(split)} AS SELECT * FROM {name}.{quoted(split)}")

    @contextmanager
    def _running(self, statement: str, cancel: CancelToken | None, seconds: float) -> Iterator[None]:
        """Interrupt the statement when it is asked to stop or takes longer than ``seconds``; say errors in plain words."""
        import duckdb

        self._check(statement)
        over = threading.Event()
        late = False

        def watch() -> None:
            nonlocal late
            waited = 0.0
            while not over.wait(0.05):
                waited += 0.05
                late = bool(seconds) and waited >= seconds
                if late or (cancel is not None and cancel.asked):
                    self._connection.interrupt()

        watcher = threading.Thread(target=watch, name="sql", daemon=True)
        watcher.start()
        try:
            yield
        except (duckdb.Error, OSError) as error:  # a reader on its way raises OSError with the same words
            told = str(error)
            if "INTERRUPT" in told[:40].upper():
                if late:
                    hint = "Ask for less, or give it more time: --seconds"
                    raise DataError(f"The query was stopped: it ran longer than {seconds:g} s.", hint) from None
                raise Stopped(cancel.how or "cancel" if cancel else "cancel") from None
            if "Out of Memory" in told[:40] or "maximum total string size" in told:
                raise DataError("The query needs more memory than it may have.", "Ask for fewer columns or rows, or shorter texts.") from None
            raise self._explained(error, statement) from None
        finally:
            over.set()
            watcher.join()

    def _check(self, statement: str) -> None:
        """Raises ``DataError`` for anything but one statement that reads."""
        import duckdb

        try:
            found = self._connection.extract_statements(statement)
        except duckdb.Error as error:
            raise explained(error, statement) from None
        if len(found) != 1:
            raise DataError("Write one statement." if found else "There is no statement.", "For example: SELECT * FROM tickets LIMIT 10")
        if found[0].type != duckdb.StatementType.SELECT:
            first = re.match(r"\s*([A-Za-z]+)", statement)
            word = first[1].upper() if first else found[0].type.name
            raise DataError(f"A query only reads; {word} is not allowed.", "Use SELECT. `help` lists the commands that change data.")

    def _explained(self, error: Exception, statement: str) -> DataError:
        """DuckDB says the place of a wrong name only to who plans the statement once more, by another door."""
        import duckdb

        if "{" not in str(error):
            try:
                self._connection.execute(PLAN + statement)
            except duckdb.Error as second:
                return explained(second, statement, len(PLAN), self._known, self._features)
        return explained(error, statement, 0, self._known, self._features)


def explained(error: Exception, statement: str, before: int = 0, known: Iterable[str] = (), features: Sequence[str] = ()) -> DataError:
    """DuckDB's words without what it says about itself, and the place in ``statement``; ``before`` characters stood before it.
    ``known`` datasets and ``features``, the columns of those that are asked, are for near matches."""
    said = re.sub(r"^(\w+ )*(Error|Exception): ", "", str(error).strip())
    try:
        facts = json.loads(said) if said.startswith("{") else {}
    except ValueError:
        facts = {}
    message, hint = _told(str(facts.get("exception_message", said)), facts, known, features)
    place = re.fullmatch(r"\[(\d+),(\d+)\]", str(facts.get("location", "")))
    if place is None:
        return DataError(message, hint)
    # DuckDB counts bytes.
    text = statement.encode()
    at = len(text[: int(place[1]) - before].decode(errors="ignore"))
    width = len(text[int(place[1]) - before :][: int(place[2])].decode(errors="ignore"))
    first = statement.rfind("\n", 0, at) + 1
    line = statement[first:].partition("\n")[0]
    return DataError(message, hint, line=line, start=at - first, end=at - first + max(1, width))


def _told(said: str, facts: dict[str, Any], known: Iterable[str], features: Sequence[str]) -> tuple[str, str]:
    head, _, rest = said.partition("\n")
    kind, name = facts.get("error_subtype", ""), str(facts.get("name", ""))
    near = [word.strip() for word in str(facts.get("candidates", "")).split(",") if word.strip() and not word.strip().startswith(ARROW)]
    if kind == "COLUMN_NOT_FOUND" and name:
        names = list(dict.fromkeys(features)) or near
        some = f"{', '.join(names[:SHOWN])}{' and more' if len(names) > SHOWN else ''}"
        return f"There is no column “{name}”.", did_you_mean(name, dict.fromkeys([*near, *names])) or (
            f"The columns are: {some}." if names else "A text stands in 'single quotes'."
        )
    if kind == "MISSING_ENTRY" and name:
        what = "dataset" if facts.get("type") == "Table" else str(facts.get("type", "name")).lower().removeprefix("scalar ")
        return f"There is no {what} called “{name}”.", did_you_mean(name, [*near, *(known if what == "dataset" else ())]) or (
            "`datasets` lists them." if what == "dataset" else ""
        )
    if kind == "NO_MATCHING_FUNCTION":
        call = str(facts.get("call", "")).replace("_LITERAL", "")
        return f"There is no {call}: the types do not fit.", "Cast one of them, for example: price::DOUBLE"
    if "disabled by configuration" in head or facts.get("exception_type") == "Permission":
        return "A query can't reach files, other databases or the network.", "Bring the file in with: add FILE. Then query it by its name."
    hint = " ".join(line.strip() for line in rest.splitlines() if line.strip().startswith("Did you mean"))
    head = head[:1].upper() + head[1:]
    return head.rstrip("!") + ("" if head.endswith((".", "?")) else "."), hint
