"""Where the record batches of an Arrow stream lie, found by reading their headers alone.

``pyarrow`` opens a stream by making every batch of it: at ten million rows that is ten thousand objects, and the system counts
the whole file as used. Here a batch is a place in the file until somebody wants its rows.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

MARK, HEAD = 0xFFFFFFFF, 1024
SCHEMA, RECORD_BATCH = 1, 3
"""Kinds of messages, as the format numbers them."""


class Stream:
    """One file. ``rows[i]`` are the rows of its batch ``i``."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``, or ``ValueError`` for a file that is no whole Arrow stream."""
        import pyarrow as pa

        # The whole file as one buffer over its map: nothing is read until a part of it is looked at.
        self._buffer = pa.memory_map(str(path)).read_buffer()
        self._places: list[tuple[int, int]] = []
        self.rows: list[int] = []
        self.schema: pa.Schema = None
        try:
            self._index(path)
        except (struct.error, IndexError):
            raise ValueError(f"{path.name} is no Arrow stream") from None

    def batch(self, number: int) -> pa.RecordBatch:
        """A batch, its values still on the disk."""
        import pyarrow as pa

        at, size = self._places[number]
        return pa.ipc.read_record_batch(pa.ipc.read_message(self._buffer.slice(at, size)), self.schema)

    def _index(self, path: Path) -> None:
        import pyarrow as pa

        at, end = 0, self._buffer.size
        # Headers are read, not mapped: a map would bring in their neighbourhood with them.
        with path.open("rb", buffering=0) as file:
            while at + 8 <= end:
                file.seek(at)
                head = file.read(HEAD)
                mark, length = struct.unpack_from("<II", head)
                if mark != MARK:
                    raise ValueError(f"{path.name} is not in the Arrow stream format")
                if length == 0:
                    break
                if length + 8 > len(head):
                    head += file.read(length + 8 - len(head))
                kind, rows, body = _read_header(head[8 : length + 8])
                size = length + 8 + body
                if body < 0 or at + size > end:
                    raise ValueError(f"{path.name} ends in the middle of its rows")
                if kind == SCHEMA:
                    self.schema = pa.ipc.read_schema(pa.ipc.read_message(self._buffer.slice(at, size)))
                elif kind != RECORD_BATCH or self.schema is None:
                    raise ValueError(f"{path.name} holds dictionaries")
                elif rows:
                    self._places.append((at, size))
                    self.rows.append(rows)
                at += size
        if self.schema is None:
            raise ValueError(f"{path.name} has no schema")


class Every(Sequence[Any]):
    """The batches of several streams, one after the other, each made when it is asked for."""

    def __init__(self, streams: list[Stream]) -> None:
        self._places = [(stream, number) for stream in streams for number in range(len(stream.rows))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [stream.batch(at) for stream, at in self._places[number]]
        stream, at = self._places[number]
        return stream.batch(at)


def _read_header(head: bytes) -> tuple[int, int, int]:
    """The kind of a message, its rows, and the length of its body: three fields of a flatbuffer (Arrow's Message.fbs)."""
    root = struct.unpack_from("<I", head)[0]
    kind = _field(head, root, 1, "<B")
    rows = 0
    if kind == RECORD_BATCH and (place := _place(head, root, 2)):
        rows = _field(head, place + struct.unpack_from("<I", head, place)[0], 0, "<q")
    return kind, rows, _field(head, root, 3, "<q")


def _place(head: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table stands; 0 for one that is left out."""
    slots = table - struct.unpack_from("<i", head, table)[0]
    size = struct.unpack_from("<H", head, slots)[0]
    if 4 + 2 * number >= size:
        return 0
    offset: int = struct.unpack_from("<H", head, slots + 4 + 2 * number)[0]
    return table + offset if offset else 0


def _field(head: bytes, table: int, number: int, kind: str) -> Any:
    place = _place(head, table, number)
    return struct.unpack_from(kind, head, place)[0] if place else 0
