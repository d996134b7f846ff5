"""The whole answer of a query as a dataset: its source is the query, its history begins with it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.data import rows, shape
from engine.data.lineage import steps, versions
from engine.data.looking.query import MEMORY, named_apart
from engine.data.shards import Form, SplitWriter, feature_of
from engine.data.sql import ROW, SPLIT, Sql, mentioned
from engine.errors import DataError
from engine.paths import replace_folder
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from engine.jobs.context import JobContext


def keep(job: JobContext, name: str, statement: str) -> DatasetRecord:
    """Run a query to its end and make its rows the dataset ``name``. A column ``_split`` parts them into splits;
    ``_row``, an address in another dataset, is left out.

    Raises ``DataError``, ``Stopped``; then the workspace is as it was.
    """
    statement = statement.strip().rstrip(";")
    ready = job.folder / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    try:
        counts, form = _write(job, statement, ready)
        if not any(counts.values()) or form is None:
            raise DataError("The query gives no rows.", "There is nothing in it to keep.")
        for split in [split for split, count in counts.items() if not count]:
            shutil.rmtree(ready / split)
            del counts[split]
        record = _record(name, statement, ready, counts, form)
        final = job.workspace.paths.datasets / name / record.fingerprint
        final.parent.mkdir(parents=True, exist_ok=True)
        record = replace(record, folder=str(final))
        job.check()
        old = job.workspace.datasets.find(name)
        if old is None or old.folder != record.folder:
            replace_folder(ready, final)
        # No verb: what the query read may have changed since, so a replay begins with these rows.
        versions.brought(job.workspace, record, steps.Start(values={"source": statement}))
    finally:
        shutil.rmtree(ready, ignore_errors=True)
    versions.sweep(job.workspace, name)
    return record


def _write(job: JobContext, statement: str, ready: Path) -> tuple[dict[str, int], Form | None]:
    """Write the answer's rows below ``ready``; returns how many each split has, and their columns."""
    records = job.workspace.datasets.all()
    writers: dict[str, SplitWriter] = {}
    form: Form | None = None
    done = 0
    with ExitStack() as stack:
        sql = stack.enter_context(Sql(mentioned(statement, records), memory=MEMORY, known=[record.name for record in records]))
        for batch in sql.batches(statement, cancel=job.token, size=1000):
            job.check()
            for split, piece in _parted(named_apart(batch)):
                fitting = storable(piece)
                form = form or _form(fitting.schema)
                if split not in writers:
                    mark = hashlib.sha256(f"{statement}|{split}".encode()).hexdigest()[:16]
                    writers[split] = stack.enter_context(SplitWriter(ready / split, form, mark))
                writers[split].write(fitting)
            done += batch.num_rows
            job.progress(done, None, "rows", "writing")
    return {split: writer.rows for split, writer in writers.items()}, form


def _record(name: str, statement: str, ready: Path, counts: dict[str, int], form: Form) -> DatasetRecord:
    features = form.words({}, {})
    kind, columns = shape.corrected(features, rows.open_folder(ready / next(iter(counts))).window(0, 200), {})
    files = sorted(ready.rglob("*.arrow"))
    digest = hashlib.sha256(json.dumps(["query", statement]).encode())
    for path in files:
        digest.update(f"\0{path.relative_to(ready)}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    size = sum(path.stat().st_size for path in files)
    return DatasetRecord(name, statement, str(ready), digest.hexdigest()[:16], counts, features, kind, columns, size)


def _form(schema: pa.Schema) -> Form:
    """The columns of an answer as a dataset has them. Raises ``DataError`` for a type that it can't hold."""
    features: dict[str, Any] = {}
    for field in schema:
        try:
            features[field.name] = feature_of(field.type)
        except ValueError:
            raise DataError(f"“{field.name}” is of a type that a dataset can't hold: {field.type}.", f"Make it text: {field.name}::VARCHAR") from None
    return Form(schema.remove_metadata(), features, {"citation": "", "description": "", "homepage": "", "license": ""})


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


def storable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """What DuckDB answers, in types that a dataset knows: wide whole numbers in 64 bits, choices and spans of time as text,
    maps as lists of pairs."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([_storable(name, batch.column(name)) for name in batch.schema.names], names=batch.schema.names)


def _storable(name: str, column: pa.Array) -> pa.Array:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind) and kind.scale == 0:
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError(f"“{name}” holds whole numbers beyond 64 bits.", f"Make them floats: {name}::DOUBLE") from None
    if pa.types.is_dictionary(kind):
        return column.dictionary_decode()
    if pa.types.is_map(kind):
        pairs = pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
        return pa.ListArray.from_arrays(column.offsets, pairs, mask=column.is_null() if column.null_count else None)
    if str(kind) == "month_day_nano_interval":
        return pa.array([None if value is None else _span(*value) for value in column.to_pylist()], pa.string())
    return column


def _span(months: int, days: int, nanoseconds: int) -> str:
    parts = [(months, "months"), (days, "days"), (nanoseconds / 1e9, "seconds")]
    return " ".join(f"{count:g} {unit}" for count, unit in parts if count) or "0 seconds"
