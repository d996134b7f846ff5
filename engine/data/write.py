"""Writes Arrow batches as a split that ``datasets.load_from_disk`` reads, without holding the rows."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.paths import write_json

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

FILE = "data-00000-of-00001.arrow"


class SplitWriter:
    """One split; the first batch decides the columns. ``close`` makes it whole. Imports ``datasets``: for a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises ``DataError`` for a type that a dataset can't hold."""
        import pyarrow as pa

        batch = storable(batch)
        if self._writer is None:
            self.folder.mkdir(parents=True)
            self._schema = batch.schema
            self._features = _features(batch.schema)
            self._writer = pa.ipc.new_stream(str(self.folder / FILE), batch.schema)
        self._writer.write_batch(batch)
        self._rows += batch.num_rows

    def close(self) -> int:
        """Finish the files; returns the number of rows."""
        self._writer.close()
        self._writer = None
        write_json(self.folder / "dataset_info.json", {"citation": "", "description": "", "features": self._features, "homepage": "", "license": ""})
        write_json(
            self.folder / "state.json",
            {
                "_data_files": [{"filename": FILE}], "_fingerprint": uuid.uuid4().hex[:16], "_format_columns": None, "_format_kwargs": {},
                "_format_type": None, "_output_all_columns": False, "_split": None,
            },
        )  # fmt: skip
        return self._rows

    def abandon(self) -> None:
        """Let go of the file, if it is open still."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def features_in_words(folder: Path) -> dict[str, str]:
    """The columns of a split that was written, each with its type in plain words."""
    from datasets import Features

    from engine.data.features import words

    said = json.loads((folder / "dataset_info.json").read_text("utf-8"))["features"]
    return {name: words(feature) for name, feature in Features.from_dict(said).items()}


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


def _features(schema: pa.Schema) -> Any:
    import pyarrow as pa
    from datasets import Features

    found = {}
    for field in schema:
        try:
            found.update(Features.from_arrow_schema(pa.schema([field])).to_dict())
        except (ValueError, TypeError, NotImplementedError):
            raise DataError(f"“{field.name}” is of a type that a dataset can't hold: {field.type}.", f"Make it text: {field.name}::VARCHAR") from None
    return found
