"""Arrow files (streams, files, Feather), copied batch by batch as a stream; what is whole in one that is cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import maps
from engine.data.reading.check import first_line
from engine.data.reading.faults import Fault, LeftOut
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext

BEGIN = 8
"""Bytes of the file format before what is a stream in it."""
UNREADABLE = (ValueError, OSError, NotImplementedError, KeyError, TypeError)


def copied(job: JobContext, path: Path, copy: Path, left: LeftOut | None, rows: int = 0) -> list[str]:
    """Write all batches, or the first ``rows`` rows, to ``copy``; returns what there is to tell about them.

    With ``left``, the whole batches before a break are kept, and the break is listed. Raises ``DataError`` with the batch
    that is broken and how many rows stand before it; ``Stopped``.
    """
    import pyarrow as pa

    number = done = 0
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pa.memory_map(str(path)) as source:
            found, batches = _opened(path, source)
            schema, changed = maps.listed(found)
            notes = [maps.said(changed)] if changed else []
            with pa.OSFile(str(copy), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
                try:
                    for batch in batches:
                        job.check()
                        batch.validate(full=True)
                        piece = batch.slice(0, rows - done) if rows else batch
                        writer.write_batch(piece.cast(schema) if changed else piece)
                        done, number = done + piece.num_rows, number + 1
                        if rows and done >= rows:
                            break
                        job.progress(number, None, "batches", f"checking {path.name}")
                    else:
                        if isinstance(batches, pa.ipc.RecordBatchReader) and not _marked(source):
                            notes.append(f"{path.name} has no mark at its end: if it was cut there, rows are missing.")
                except UNREADABLE as error:
                    if left is None or not done or (isinstance(error, OSError) and error.errno):
                        raise
                    left.part(Fault(path.name, 0, 0, f"what follows batch {number} ({done:,} rows) can't be read: {first_line(error).rstrip('.')}"))
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno:
            raise
        where = f" beyond batch {number}" if number else ""
        told = f" {done:,} rows before it are good." if done else ""
        refused = DataError(f"{path.name} is not an Arrow file that can be read{where}: {first_line(error).rstrip('.')}.{told}", "Write it again.")
        raise (refused.offer(f"keep the {done:,} rows before the break", bad="skip") if done else refused) from None
    return notes


def _opened(path: Path, source: Any) -> tuple[Any, Iterator[Any]]:
    """The schema and the batches. A file that has lost its end is read as the stream that it holds."""
    import pyarrow as pa
    from pyarrow import feather

    head = source.read(6)
    source.seek(0)
    if head[:4] == b"FEA1":
        table = feather.read_table(path)
        return table.schema, iter(table.to_batches())
    if head == b"ARROW1":
        try:
            file = pa.ipc.open_file(source)
            return file.schema, (file.get_batch(at) for at in range(file.num_record_batches))
        except (ValueError, OSError) as error:
            source.seek(BEGIN)
            try:
                stream = pa.ipc.open_stream(source)
            except (ValueError, OSError):
                raise error from None
            return stream.schema, _cut(stream, error)
    stream = pa.ipc.open_stream(source)
    return stream.schema, stream


def _cut(stream: Any, error: Exception) -> Iterator[Any]:
    yield from stream
    raise error


def _marked(source: Any) -> bool:
    """Whether a stream that was read whole has the mark of its end. It need not: but neither has one that was cut just there."""
    at = source.tell()
    source.seek(max(0, at - 4))
    return bool(source.read(4) == b"\0\0\0\0")
