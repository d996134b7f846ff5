"""Parquet files: their columns, row groups that would not fit or can't be read, and copies of what is good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import maps
from engine.data.reading.check import first_line, free_memory
from engine.data.reading.faults import Fault, LeftOut, Survey
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext

BOMB_BYTES, BOMB_RATIO = 1 << 28, 1000
"""A row group that unpacks to more than this, and to so many times its size on disk, is refused."""


def columns_of(path: Path) -> list[str]:
    """The columns. Raises ``DataError`` for what is no Parquet file, or one whose row groups would not fit into memory."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        names = list(metadata.schema.to_arrow_schema().names)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path.name} is not a Parquet file that can be read: {first_line(error)}", "Write it again, without encryption.") from None
    free = free_memory()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        unpacked = group.total_byte_size
        packed = sum(group.column(column).total_compressed_size for column in range(group.num_columns))
        if unpacked > free // 2 or (unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * max(1, packed)):
            raise DataError(
                f"{path.name}: row group {number} holds {packed:,} bytes that unpack to {unpacked:,}.",
                f"That is no safe size here ({free >> 20:,} MB of memory are free). Write the file again with smaller row groups.",
            )
    return names


def maps_of(path: Path) -> list[str]:
    """The columns that hold maps."""
    import pyarrow.parquet as pq

    return maps.listed(pq.read_schema(path))[1]


def head(path: Path, copy: Path, rows: int) -> Path:
    """The first ``rows`` rows, as an Arrow stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema, _ = maps.listed(file.schema_arrow)
            with pa.OSFile(str(copy), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
                for batch in file.iter_batches(min(rows, 1000)):
                    writer.write_batch(batch.slice(0, rows).cast(schema))
                    rows -= batch.num_rows
                    if rows <= 0:
                        break
    except (ValueError, NotImplementedError) as error:
        raise DataError(f"{path.name} can't be read: {first_line(error)}", "Write it again.") from None
    return copy


def survey(job: JobContext, path: Path) -> Survey:
    """Read every row group, to find those that can't be. Raises ``Stopped``."""
    found = Survey()
    for group in _groups(job, path):
        if isinstance(group, Fault):
            found.found(group)
        else:
            found.good += group.num_rows
    found.more = False  # every row group was looked at
    return found


def mend(job: JobContext, path: Path, copy: Path, left: LeftOut) -> None:
    """Write the row groups that can be read to ``copy``, an Arrow stream, and list the others. Raises ``Stopped``."""
    _copied(job, path, copy, left.row)


def copied(job: JobContext, path: Path, copy: Path) -> None:
    """Write a file that has maps to ``copy``, an Arrow stream without them. Raises ``DataError`` where a row group can't be
    read, ``Stopped``."""

    def refused(_: Fault) -> None:
        raise survey(job, path).error()

    _copied(job, path, copy, refused)


def _copied(job: JobContext, path: Path, copy: Path, bad: Callable[[Fault], None]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    copy.parent.mkdir(parents=True, exist_ok=True)
    schema, changed = maps.listed(pq.read_schema(path))
    with pa.OSFile(str(copy), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
        for group in _groups(job, path):
            if isinstance(group, Fault):
                bad(group)
            else:
                writer.write_table(group.cast(schema) if changed else group)


def _groups(job: JobContext, path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        row = 0
        for number in range(file.num_row_groups):
            job.check()
            job.progress(number, file.num_row_groups, "row groups", f"checking {path.name}")
            rows = file.metadata.row_group(number).num_rows
            try:
                yield file.read_row_group(number)
            except (OSError, ValueError, NotImplementedError) as error:
                reason = f"row group {number} (rows {row} to {row + rows - 1}) can't be read: {first_line(error).rstrip('.')}"
                yield Fault(path.name, 0, 0, reason, "Write the file again, or fetch it again.", rows=rows)
            row += rows
