"""A query that a person wrote: looked at up to a limit, or kept whole as a dataset."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.data import rows, shape
from engine.data.sql import ROW, SPLIT, Sql, mentioned
from engine.data.write import SplitWriter
from engine.errors import DataError
from engine.jobs.context import CancelToken
from engine.paths import replace_folder
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from engine.jobs.context import JobContext

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
        return Answer(_named_apart(table.slice(0, self.limit)), cut, time.monotonic() - began)

    def check(self) -> None:
        """Read the statement without running it. Raises ``DataError``."""
        with self._open() as sql:
            sql.plan(self.statement)

    def stop(self) -> None:
        self.token.ask("cancel")

    def _open(self) -> Sql:
        names = [record.name for record in self._records]
        return Sql(mentioned(self.statement, self._records), memory=self.memory, known=names)


def keep(job: JobContext, name: str, statement: str) -> DatasetRecord:
    """Run a query to its end and make its rows the dataset ``name``. A column ``_split`` parts them into splits;
    ``_row``, an address in another dataset, is left out.

    Raises ``DataError``, ``Stopped``; then the workspace is as it was.
    """
    statement = statement.strip().rstrip(";")
    ready = job.folder / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    records = job.workspace.datasets.all()
    writers: dict[str, SplitWriter] = {}
    try:
        done = 0
        with Sql(mentioned(statement, records), memory=MEMORY, known=[record.name for record in records]) as sql:
            for batch in sql.batches(statement, cancel=job.token, size=1000):
                job.check()
                for split, piece in _parted(_named_apart(batch)):
                    if split not in writers:
                        writers[split] = SplitWriter(ready / split)
                    writers[split].write(piece)
                done += batch.num_rows
                job.progress(done, None, "rows", "writing")
        made = {split: writer.close() for split, writer in writers.items()}
        counts = {split: count for split, count in made.items() if count}
        if not counts:
            raise DataError("The query gives no rows.", "There is nothing in it to keep.")
        for split in set(made) - set(counts):
            shutil.rmtree(ready / split)
        record = _record(name, statement, ready, counts)
        final = job.workspace.paths.datasets / name / record.fingerprint
        final.parent.mkdir(parents=True, exist_ok=True)
        record = replace(record, folder=str(final))
        job.check()
        old = job.workspace.datasets.find(name)
        if old is None or old.folder != record.folder:
            replace_folder(ready, final)
        job.workspace.datasets.put(record)
    finally:
        for writer in writers.values():
            writer.abandon()
        shutil.rmtree(ready, ignore_errors=True)
    for entry in final.parent.iterdir():
        if entry != final:
            shutil.rmtree(entry, ignore_errors=True)
    return record


def _record(name: str, statement: str, ready: Path, counts: dict[str, int]) -> DatasetRecord:
    first = ready / next(iter(counts))
    from engine.data.write import features_in_words

    features = features_in_words(first)
    sample = rows.open_folder(first).window(0, 200)
    kind, columns = shape.corrected(features, sample, {})
    files = sorted(ready.rglob("*.arrow"))
    digest = hashlib.sha256(json.dumps(["query", statement]).encode())
    for path in files:
        digest.update(f"\0{path.relative_to(ready)}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    size = sum(path.stat().st_size for path in files)
    return DatasetRecord(name, statement, str(ready), digest.hexdigest()[:16], counts, features, kind, columns, size)


def _named_apart(found: Any) -> Any:
    """Columns of one name (``SELECT a.text, b.text``) get numbers: a row maps names to values."""
    names: list[str] = []
    for name in found.schema.names:
        number, free = 2, name
        while free in names:
            free, number = f"{name}_{number}", number + 1
        names.append(free)
    return found.rename_columns(names)


def _parted(batch: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    """A batch by its column ``_split``; without one, all of it is ``train``."""
    import pyarrow.compute as pc

    names = batch.schema.names
    kept = [name for name in names if name not in (SPLIT, ROW)]
    if not kept:
        raise DataError("The query gives no columns of data.", "Name at least one column beside _split and _row.")
    if SPLIT not in names:
        return [("train", batch.select(kept))]
    parts = []
    column = batch.column(SPLIT)
    for split in pc.unique(column).to_pylist() if batch.num_rows else ["train"]:
        if not isinstance(split, str) or not re.fullmatch(r"\w[\w.-]{0,63}", split):
            raise DataError(f"“{split}” can't be the name of a split.", "_split names splits: letters, digits, - and _.")
        parts.append((split, batch.select(kept).filter(pc.equal(column, split))))
    return parts
