"""Folders of pictures and of sounds: each file whole in its row, with what a metadata file or its folder says about it.

Nothing is decoded by ``datasets`` (which would want FFmpeg for sounds): the bytes are stored as they are, and size,
duration and rate are read by Pillow and soundfile.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.reading import sources
from engine.data.reading.faults import Fault, LeftOut, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.data.reading.options import Options
    from engine.data.reading.sources import Source
    from engine.jobs.context import JobContext

BATCH_BYTES, BATCH_ROWS = 1 << 26, 500
Told = dict[Path, dict[str, Any]]
"""A file to what is said about it."""


def read(
    job: JobContext,
    source: Source,
    cache: Path,
    options: Options,
    left: LeftOut,
    notes: list[str],
    tell: Callable[[list[Path]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """The splits of a folder of media as ``datasets.Dataset``s. ``tell`` reads a metadata file's rows.

    Raises ``DataError`` for a file that is no picture or no sound, or metadata without its file; ``Stopped``.
    """
    kind = str(source.reader)
    root = source.root or Path()
    described = [path for path in source.every if sources.kind_of(path) != kind]
    files = {split: [path for path in paths if sources.kind_of(path) == kind] for split, paths in source.files.items()}
    files = {split: paths for split, paths in files.items() if paths}
    survey, told, columns = Survey(), {}, {}  # type: Survey, Told, dict[str, None]
    for path in described:
        for row in tell([path]):
            name = str(row.pop("file_name", None) or row.pop(f"{kind}_file_name", None) or row.pop("path", "") or "")
            place = (path.parent / name).resolve()
            if name and place.is_file():
                told[place] = row
                columns.update(dict.fromkeys(row))
            else:
                fault = Fault(
                    path.name, 0, 0, f"there is no file “{name}”" if name else "a row names no file (file_name)", "Complete the folder.", str(row)
                )
                survey.found(fault) if options.bad != "skip" else left.row(fault)
    labelled = not told and all(_label(path, root) for paths in files.values() for path in paths)
    made = {}
    for split, paths in files.items():
        taken = paths[: options.rows] if options.rows else paths
        rows = _rows(job, kind, root, taken, told, list(columns), survey, left, skip=options.bad == "skip", labelled=labelled)
        found = _write(cache / f"{split}.arrow", kind, rows)
        if found is not None:
            made[split] = found
    if survey.bad:
        raise survey.error()
    if told and (alone := sum(path.resolve() not in told for paths in files.values() for path in paths)):
        notes.append(f"{alone} {kind} files are in no metadata file: their other columns are empty.")
    notes.append(f"Read as {'pictures' if kind == 'image' else 'sounds'}{', labels from its folders' if labelled else ''}.")
    return made


def _rows(
    job: JobContext,
    kind: str,
    root: Path,
    paths: list[Path],
    told: Told,
    columns: list[str],
    survey: Survey,
    left: LeftOut,
    *,
    skip: bool,
    labelled: bool,
) -> Iterator[dict[str, Any]]:
    look = _picture if kind == "image" else _sound
    for number, path in enumerate(paths):
        job.check()
        job.progress(number, len(paths), "files", "reading")
        data = path.read_bytes()
        try:
            facts = look(data)
        except Exception as error:  # both libraries raise all kinds of things for a broken file
            reason = f"this is no {'picture' if kind == 'image' else 'sound'} that can be read ({' '.join(str(error).split())[:100] or type(error).__name__})"
            fault = Fault(str(path.relative_to(root)), 0, 0, reason, "Take it out, or write it again.")
            left.row(fault) if skip else survey.found(fault)
            continue
        survey.good += 1
        said = told.get(path.resolve(), {})
        label = {"label": _label(path, root)} if labelled else {}
        extra = {name: value for name, value in facts.items() if name not in columns}
        yield {kind: {"bytes": data, "path": str(path.relative_to(root))}, **label, **{name: said.get(name) for name in columns}, **extra}


def _write(target: Path, kind: str, rows: Iterator[dict[str, Any]]) -> Any:
    """Rows in Arrow, a few at a time, with the feature that says what the bytes are; ``None`` for no rows."""
    import pyarrow as pa
    from datasets import Audio, Dataset, Features, Image

    target.parent.mkdir(parents=True, exist_ok=True)
    table: pa.Table | None = None
    schema, writer = None, None
    with pa.OSFile(str(target), "wb") as file:
        for batch in _batches(rows, kind):
            table = pa.Table.from_pylist(batch, schema=schema)
            if writer is None or schema is None:
                features = Features.from_arrow_schema(_typed(table.schema))
                features[kind] = Image() if kind == "image" else Audio(decode=False)
                schema = features.arrow_schema
                table = pa.Table.from_pylist(batch, schema=schema)
                writer = pa.ipc.new_stream(file, schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
    return Dataset.from_file(str(target)) if writer is not None else None


def _typed(schema: Any) -> Any:
    """Columns that hold nothing so far are text."""
    import pyarrow as pa

    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])


def _batches(rows: Iterator[dict[str, Any]], kind: str) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row[kind]["bytes"])
        if size > BATCH_BYTES or len(batch) >= BATCH_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _label(path: Path, root: Path) -> str:
    """The folder that a file is in, unless it is the root or a split's."""
    folder = path.parent
    return "" if folder == root or folder.name.lower() in sources.SPLITS else folder.name


def _picture(data: bytes) -> dict[str, Any]:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        image.verify()
    return {"width": width, "height": height}


def _sound(data: bytes) -> dict[str, Any]:
    import soundfile

    found = soundfile.info(io.BytesIO(data))
    return {"seconds": round(found.frames / found.samplerate, 3), "rate": found.samplerate, "channels": found.channels}
