"""Windows of rows, straight from the memory-mapped Arrow files. Imports pyarrow alone: the screen's process calls this."""

from __future__ import annotations

import json
import math
import threading
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.reading.stream import Every, Stream
from engine.errors import DataError, NotFound, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from engine.store.datasets import DatasetRecord

KEEP_OPEN = 16
"""Splits kept open at once; each costs its batches' headers, not its rows."""


class Batches:
    """One split's record batches, found in its shards in order; ``starts[i]`` is the first row of batch ``i``."""

    def __init__(self, folder: Path, files: list[dict[str, Any]] | None = None) -> None:
        """``files``: some of those that ``state.json`` lists, instead of all.

        Raises ``OSError``, ``KeyError`` or ``ValueError`` (pyarrow's errors among them) for a damaged folder.
        """
        if files is None:
            files = json.loads((folder / "state.json").read_text("utf-8"))["_data_files"]
        streams = [Stream(folder / file["filename"]) for file in files]
        self.schema: pa.Schema = streams[0].schema if streams else None
        self.batches = Every(streams)
        self.starts: list[int] = [0, *accumulate(count for stream in streams for count in stream.rows)]

    @property
    def rows(self) -> int:
        return self.starts[-1]

    def table(self) -> pa.Table:
        """All rows, still on the disk."""
        import pyarrow as pa

        return pa.Table.from_batches(self.batches, schema=self.schema)

    def batch(self, index: int) -> pa.RecordBatch | None:
        """One row as Arrow has it, its bytes still on the disk; ``None`` where there is none."""
        if not 0 <= index < self.rows:
            return None
        number = bisect_right(self.starts, index) - 1
        return self.batches[number].slice(index - self.starts[number], 1)

    def window(self, start: int, count: int) -> list[dict[str, Any]]:
        """Rows ``start`` to ``start + count``, as far as there are any."""
        found: list[dict[str, Any]] = []
        at, end = max(0, start), min(self.rows, start + count)
        while at < end:
            number = bisect_right(self.starts, at) - 1
            inside = at - self.starts[number]
            piece = self.batches[number].slice(inside, end - at)
            found += plain_rows(piece)
            at += piece.num_rows
        return found

    def take(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The rows with these numbers, in this order; neighbours are read together. Raises ``IndexError`` beyond the last."""
        found: list[dict[str, Any]] = []
        at = 0
        while at < len(indices):
            end = at + 1
            while end < len(indices) and indices[end] == indices[end - 1] + 1:
                end += 1
            piece = self.window(indices[at], end - at)
            if len(piece) != end - at:
                raise IndexError(indices[end - 1])
            found += piece
            at = end
        return found


_open: OrderedDict[tuple[str, int], Batches] = OrderedDict()
_lock = threading.Lock()


def open_folder(folder: Path) -> Batches:
    """The batches of a ``save_to_disk`` folder, opened once for as long as it does not change. Any thread.

    Raises ``DataError``.
    """
    try:
        key = (str(folder), (folder / "state.json").stat().st_mtime_ns)
        with _lock:
            if key in _open:
                _open.move_to_end(key)
                return _open[key]
        opened = Batches(folder)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"The rows in {folder} can't be read: {error}.", "Add the dataset again from its source.") from None
    with _lock:
        _open[key] = opened
        while len(_open) > KEEP_OPEN:
            _open.popitem(last=False)
    return opened


def window(record: DatasetRecord, split: str, start: int, count: int) -> list[dict[str, Any]]:
    """Rows ``start`` to ``start + count`` of a split, as plain JSON-able values; fewer at the end.

    Bytes, pictures and sounds become a short description. Raises ``NotFound`` for a split that is not there,
    ``DataError`` for damaged files.
    """
    return open_folder(split_folder(record, split)).window(start, count)


def row(record: DatasetRecord, split: str, index: int) -> dict[str, Any]:
    """One row. Raises ``NotFound`` beyond the last."""
    found = window(record, split, index, 1) if index >= 0 else []
    if not found:
        total = record.splits.get(split, 0)
        raise NotFound(f"{record.name}/{split} has no row {index}.", f"Its rows are 0 to {total - 1}." if total else "It has no rows.")
    return found[0]


def load_split(record: DatasetRecord, split: str) -> Any:
    """The split as a ``datasets.Dataset``, memory-mapped. Imports ``datasets``: for a job's process only."""
    folder = split_folder(record, split)
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(f"The rows in {folder} can't be read: {error}.", "Add the dataset again from its source.") from None


def parse_address(text: str) -> tuple[str, str, int]:
    """``name/split/index`` in its parts. Raises ``NotFound`` for anything else."""
    parts = text.strip().removeprefix("dataset:").split("/")
    if len(parts) != 3 or not all(parts) or not parts[2].isascii() or not parts[2].isdigit():
        raise NotFound(f"“{text}” is not a row's address.", "An address is NAME/SPLIT/ROW, for example guide/train/0; rows count from 0.")
    return parts[0], parts[1], int(parts[2])


def check_split(record: DatasetRecord, split: str) -> None:
    """Raises ``NotFound`` with near matches."""
    if split not in record.splits:
        hint = did_you_mean(split, record.splits) or f"It has {', '.join(record.splits)}."
        raise NotFound(f"{record.name} has no split “{split}”.", hint)


def split_folder(record: DatasetRecord, split: str) -> Path:
    check_split(record, split)
    return Path(record.folder) / split


def plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """A batch's rows as plain JSON-able values."""
    names = batch.schema.names
    columns = [_values(batch.column(number)) for number in range(batch.num_columns)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    kind = str(column.type)
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError, ImportError):
        # Times beyond Python's calendar, text that is not UTF-8: value by value, the odd ones in words.
        values = [_value(scalar) for scalar in column]
    if "arrow.json" in kind:
        values = [_unpack(column.type, value) for value in values]
    return [plain(value) for value in values]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        buffer = scalar.as_buffer() if hasattr(scalar, "as_buffer") else b""
        return bytes(buffer).decode("utf-8", "replace") if buffer else f"‹{scalar.type}: not UTF-8›"
    except (ValueError, OverflowError, ImportError):
        try:
            import pyarrow.compute as pc

            return pc.cast(scalar, "string").as_py()
        except (ValueError, NotImplementedError):
            return f"‹{scalar.type}: out of range›"


def _unpack(kind: pa.DataType, value: Any) -> Any:
    """JSON that a column stores as text, wherever it is nested, as the value it says."""
    import pyarrow as pa

    if value is None:
        return None
    if isinstance(value, str) and "arrow.json" in str(kind) and not pa.types.is_nested(kind):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if pa.types.is_struct(kind):
        return {kind.field(number).name: _unpack(kind.field(number).type, value[kind.field(number).name]) for number in range(kind.num_fields)}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [_unpack(kind.value_type, item) for item in value]
    return value


def plain(value: Any) -> Any:
    """A value as JSON can say it: times as ISO text, decimals as text, bytes and media as a description."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"‹{len(value)} bytes›"
    if isinstance(value, dict):
        if set(value) == {"bytes", "path"}:
            return _media(value)
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _media(value: dict[str, Any]) -> str | None:
    data, path = value["bytes"], value["path"]
    if data is None and path is None:
        return None
    name = Path(str(path)).name if path else "unnamed"
    return f"‹{name}, {len(data)} bytes›" if isinstance(data, bytes) else f"‹{name}›"
