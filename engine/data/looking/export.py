"""Rows as a file: CSV, JSONL or Parquet, batch by batch; the file is there whole or not at all."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from engine.data import rows
from engine.data.looking.view import View, check_columns, selecting
from engine.data.sql import ROW, SPLIT, Sql
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from engine.data.looking.view import Sort
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord

FORMATS = (".csv", ".jsonl", ".parquet")
PIECE = 2000
"""Rows held at once of those that are taken in another order than theirs."""


def check_target(file: Path, kinds: Sequence[str] = FORMATS, *, force: bool) -> Path:
    """The file to write, as an absolute path. Raises ``DataError`` for one that can't be, ends in none of ``kinds``, or is there."""
    file = file.expanduser().absolute()
    if file.suffix.lower() not in kinds:
        raise DataError(f"“{file.name}” does not say what to write.", f"End its name in {', '.join(kinds[:-1])} or {kinds[-1]}.")
    if not file.parent.is_dir():
        raise DataError(f"There is no folder {file.parent}.", "Make it first, or choose another.")
    if file.is_dir():
        raise DataError(f"{file} is a folder.", "Name a file.")
    if file.exists() and not force:
        raise DataError(f"{file} is there already.", "To replace it: --force")
    return file


def export(
    job: JobContext, record: DatasetRecord, splits: Sequence[str], file: Path, where: str, columns: Sequence[str], sort: Sort = (), *, force: bool
) -> int:
    """Write the rows that fit ``where``, in the order of ``sort`` over all ``splits`` together; returns how many.

    Raises ``DataError``, ``Stopped``; ``OSError`` for a full disk.
    """
    names = check_columns(record, columns)
    if sort:
        numbers = _ordered(job, record, splits, where, sort)
        total, batches = len(numbers), _taken(record, splits, numbers, names)
    else:
        views = [View(record, split, where, cancel=job.token) for split in splits]
        total = sum(view.rows for view in views)
        batches = (batch for view in views for batch in _batches(view, names))
    done = 0
    if not total:
        raise DataError(f"No row of {record.name} fits.", "Nothing was written.")
    sample = rows.open_folder(rows.split_folder(record, splits[0])).batches[0].select(names).slice(0, 0)
    part = file.with_name(f".{file.name}.part-{job.id}")
    try:
        with _writer(part, file.suffix.lower(), sample) as write:
            for batch in batches:
                job.check()
                write(batch)
                done += batch.num_rows
                job.progress(done, total, "rows", "writing")
        check_target(file, force=force)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return done


def _batches(view: View, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a view in the file's order, as they are stored."""
    opened = rows.open_folder(rows.split_folder(view.record, view.split))
    numbers = view.numbers
    if numbers is None:
        yield from (batch.select(names) for batch in opened.batches)
        return
    import numpy as np

    ends = np.searchsorted(numbers, opened.starts)
    for at in range(len(ends) - 1):
        wanted = numbers[ends[at] : ends[at + 1]]
        if len(wanted):
            yield opened.batches[at].select(names).take(wanted.astype(np.int64) - opened.starts[at])


def _ordered(job: JobContext, record: DatasetRecord, splits: Sequence[str], where: str, sort: Sort) -> Any:
    """The numbers of the rows in the wanted order; those of a split go on where those of the split before it end."""
    import numpy as np

    with Sql([record]) as sql:
        found = sql.table(selecting(sql, record, splits[0] if len(splits) == 1 else "", where.strip(), sort), cancel=job.token)
    numbers = found.column(ROW).to_numpy().astype(np.int64)
    if len(splits) > 1:
        ends = dict(zip(splits, accumulate(record.splits[split] for split in splits), strict=True))
        numbers += np.asarray([ends[split] - record.splits[split] for split in found.column(SPLIT).to_pylist()], np.int64)
    return numbers


def _taken(record: DatasetRecord, splits: Sequence[str], numbers: Any, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows from wherever they lie, ``PIECE`` at a time: of each piece, those that lie together are read together."""
    import numpy as np
    import pyarrow as pa

    opened = [rows.open_folder(rows.split_folder(record, split)) for split in splits]
    starts = np.asarray([0, *accumulate(int(count) for split in opened for count in np.diff(split.starts))], np.int64)
    batches = [(split, at) for split in opened for at in range(len(split.batches))]
    for first in range(0, len(numbers), PIECE):
        piece = numbers[first : first + PIECE]
        order = np.argsort(piece, kind="stable")
        held = piece[order]
        ends = np.searchsorted(held, starts)
        found = []
        for at in np.flatnonzero(np.diff(ends)).tolist():
            split, number = batches[at]
            found.append(split.batches[number].select(names).take(pa.array(held[ends[at] : ends[at + 1]] - starts[at])))
        table = pa.Table.from_batches(found).combine_chunks().take(pa.array(np.argsort(order)))
        yield from table.to_batches()


@contextmanager
def _writer(part: Path, kind: str, sample: pa.RecordBatch) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """What writes a batch; ``sample`` is one without rows."""
    if kind == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetWriter(part, sample.schema) as parquet:
            yield parquet.write_batch
        return
    for field in sample.schema:
        if "binary" in str(field.type):
            raise DataError(f"“{field.name}” holds bytes, which this format can't.", "Export to .parquet, or leave it out with --columns.")
    if kind == ".jsonl":
        with part.open("w", encoding="utf-8") as lines:
            yield lambda batch: lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.plain_rows(_finite(batch)))
        return
    from pyarrow import csv

    with csv.CSVWriter(part, _flat(sample).schema) as table:
        yield lambda batch: table.write_batch(_flat(batch))


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Lists and structs as JSON, which is what a field of a CSV file can say; odd types as text."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            values = rows.plain_rows(pa.RecordBatch.from_arrays([column], names=["v"]))
            columns.append(pa.array([None if row["v"] is None else json.dumps(row["v"], ensure_ascii=False) for row in values], pa.string()))
        elif pa.types.is_primitive(kind) and not pa.types.is_duration(kind):
            columns.append(column)
        else:
            columns.append(column.cast(pa.large_string()))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _finite(batch: pa.RecordBatch) -> pa.RecordBatch:
    """JSON has no word for what is not a number: it becomes null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [pc.if_else(pc.is_finite(column), column, None) if pa.types.is_floating(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
