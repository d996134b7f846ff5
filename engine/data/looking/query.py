"""A query that a person wrote, looked at up to a limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data import rows
from engine.data.sql import Sql, mentioned
from engine.jobs.context import CancelToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from engine.store.datasets import DatasetRecord

LIMIT, SECONDS, MEMORY = 1000, 30.0, 2_000_000_000
ANSWER_BYTES = 256_000_000
"""What an answer that is looked at may take in memory."""

PIECE = 250
"""Rows taken at a time: few, because a value may be large."""


@dataclass(frozen=True)
class Answer:
    """The rows of an answer, up to a limit; ``cut`` says that there would have been more."""

    table: pa.Table
    cut: bool
    seconds: float

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def columns(self) -> list[str]:
        return list(self.table.column_names)

    def window(self, start: int, count: int) -> list[dict[str, Any]]:
        """Rows as plain values; whole numbers are numbers, however wide DuckDB made them."""
        found: list[dict[str, Any]] = []
        for batch in self.table.slice(start, count).to_batches():
            found += rows.plain_rows(batch)
        wide = [field.name for field in self.table.schema if str(field.type).startswith("decimal128") and field.type.scale == 0]
        return [{**row, **{name: int(row[name]) for name in wide if row[name] is not None}} for row in found] if wide else found


class Query:
    """One statement over the datasets that it names. ``stop`` may be called from another thread."""

    def __init__(self, records: Sequence[DatasetRecord], statement: str, limit: int = LIMIT, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self.statement = statement.strip().rstrip(";")
        self.limit, self.seconds, self.memory = limit, seconds, memory
        self._records = list(records)
        self.token = CancelToken()

    def run(self) -> Answer:
        """Raises ``DataError`` that points into the statement; ``Stopped``."""
        import pyarrow as pa

        began = time.monotonic()
        found: list[pa.RecordBatch] = []
        got = held = 0
        with self._open() as sql:
            for batch in sql.batches(self.statement, cancel=self.token, seconds=self.seconds, size=PIECE):
                found.append(batch)
                got, held = got + batch.num_rows, held + batch.nbytes
                self.token.check()
                if got > self.limit or held > ANSWER_BYTES:
                    break
        table = pa.Table.from_batches(found, schema=found[0].schema)
        cut = got > self.limit or held > ANSWER_BYTES
        return Answer(named_apart(table.slice(0, self.limit)), cut, time.monotonic() - began)

    def check(self) -> None:
        """Read the statement without running it. Raises ``DataError``."""
        with self._open() as sql:
            sql.plan(self.statement)

    def stop(self) -> None:
        self.token.ask("cancel")

    def _open(self) -> Sql:
        names = [record.name for record in self._records]
        return Sql(mentioned(self.statement, self._records), memory=self.memory, known=names)


def named_apart(found: Any) -> Any:
    """Columns of one name (``SELECT a.text, b.text``) get numbers: a row maps names to values."""
    names: list[str] = []
    for name in found.schema.names:
        number, free = 2, name
        while free in names:
            free, number = f"{name}_{number}", number + 1
        names.append(free)
    return found.rename_columns(names)
