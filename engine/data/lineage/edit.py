"""Changing one cell: only the piece of the file that holds it is written; everything else is shared with the version before."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from engine.data.lineage.columns import slices
from engine.data.lineage.pick import check_columns
from engine.data.rows import Batches, open_folder, split_folder
from engine.data.shards import ArrowFile, Form, describe, link
from engine.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from engine.data.lineage import steps
    from engine.store.datasets import DatasetRecord

PIECE, FAN = 64 << 10, 32
"""Bytes, about, of what an edit writes anew, once the file around the cell has been cut: into ``FAN`` files, of which the
one with the cell is cut again. So a label a key costs some 100 KB of disk, and a large split has not too many files."""
NUMBERS = {"true": True, "yes": True, "false": False, "no": False}


def column_type(record: DatasetRecord, split: str, column: str) -> pa.DataType:
    """The Arrow type of a column. Raises ``NotFound`` or ``DataError`` for what is not there."""
    batches = open_folder(split_folder(record, split))
    check_columns(record, [column])
    return batches.batches[0].schema.field(column).type


def read_value(kind: pa.DataType, text: str, column: str) -> Any:
    """What a person typed, as plain JSON for a column of this type. Raises ``DataError``."""
    import pyarrow as pa

    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return text
        if pa.types.is_boolean(kind):
            return NUMBERS[text.strip().lower()]
        if pa.types.is_integer(kind):
            return int(text.replace("_", ""))
        if pa.types.is_floating(kind):
            return float(text)
        if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            pa.array([text]).cast(kind)
            return text
        value = json.loads(text)
        if "arrow.json" not in str(kind):
            pa.array([value], kind)
    except (ValueError, KeyError, OverflowError, pa.ArrowException):
        raise DataError(
            f"“{text}” does not fit the column {column} ({kind}).", "Write a value of that type, or leave it empty with --empty."
        ) from None
    return value


def replaced(folder: Path, target: Path, step: steps.Edit, fingerprint: str) -> None:
    """The split ``folder`` with one cell changed, as ``target``. Raises ``DataError``."""
    files = json.loads((folder / "state.json").read_text("utf-8"))["_data_files"]
    number, inside = _file_with(folder, files, step.row)
    batches = Batches(folder, [files[number]])
    form = Form.read(folder, batches)
    if step.column not in form.features:
        raise DataError(f"{step.split} has no column “{step.column}”.", f"Its columns are: {', '.join(form.features)}.")
    target.mkdir(parents=True)
    made: list[dict[str, Any]] = []
    for place, file in enumerate(files):
        if place == number:
            made += _recut(folder / file["filename"], batches, form, target, step, inside, fingerprint)
        else:
            link(folder / file["filename"], target / file["filename"])
            made.append(file)
    describe(target, form, made, fingerprint)


def _file_with(folder: Path, files: list[dict[str, Any]], row: int) -> tuple[int, int]:
    """Which file holds a row, and as which of its rows."""
    for number, file in enumerate(files):
        count = file["rows"] if "rows" in file else Batches(folder, [file]).rows
        if row < count:
            return number, row
        row -= count
    raise DataError(f"{folder.name} has no row {row}.", "It has fewer rows.")


def _recut(file: Path, batches: Batches, form: Form, target: Path, step: steps.Edit, row: int, fingerprint: str) -> list[dict[str, Any]]:
    """The file that holds the cell, cut smaller around it, with the cell changed."""
    made = []
    for number, (first, size) in enumerate(_cuts(batches.rows, file.stat().st_size, row)):
        name, count = f"{fingerprint}-{number:05}.arrow", 0
        written = ArrowFile(target / name, form)
        try:
            for batch in slices(batches, first, size):
                at = row - first - count
                written.write(_changed(batch, form, step, at) if 0 <= at < batch.num_rows else batch)
                count += batch.num_rows
        finally:
            written.close()
        made.append({"filename": name, "rows": count})
    return made


def _cuts(rows: int, size: int, row: int) -> list[tuple[int, int]]:
    """Where a file of ``size`` bytes is cut, as first rows and counts, so that the piece with ``row`` is small."""
    cuts = [(0, rows)]
    while True:
        at = next(number for number, (first, count) in enumerate(cuts) if first <= row < first + count)
        first, count = cuts[at]
        pieces = min(FAN, count, round(count * size / rows / PIECE))
        if pieces < 2:
            return cuts
        edges = [first + count * number // pieces for number in range(pieces + 1)]
        cuts[at : at + 1] = [(start, end - start) for start, end in itertools.pairwise(edges)]


def _changed(batch: pa.RecordBatch, form: Form, step: steps.Edit, row: int) -> pa.RecordBatch:
    import pyarrow as pa

    number = form.schema.get_field_index(step.column)
    column = batch.column(number)
    value = _array(column.type, step.value)
    column = pa.concat_arrays([column.slice(0, row), value, column.slice(row + 1)])
    return batch.set_column(number, form.schema.field(number), column)


def _array(kind: pa.DataType, value: Any) -> pa.Array:
    import pyarrow as pa

    if "arrow.json" in str(kind) and not pa.types.is_nested(kind):
        text = None if value is None else json.dumps(value, ensure_ascii=False)
        return pa.ExtensionArray.from_storage(kind, pa.array([text], kind.storage_type))
    if isinstance(value, str) and (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)):
        return pa.array([value]).cast(kind)
    return pa.array([value], kind)
