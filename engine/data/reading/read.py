"""Reads a source with the packaged readers of ``datasets``; a reader's refusal becomes an error that says where."""

from __future__ import annotations

import errno
import glob
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.data.reading import casting, csvfile, media_folders, parts, sources, union
from engine.data.reading.unpack import unpack
from engine.data.shards import words
from engine.errors import BitternError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.data.reading.faults import LeftOut
    from engine.data.reading.options import Options
    from engine.data.reading.parts import Desk, Part
    from engine.data.reading.sources import Source
    from engine.jobs.context import JobContext


def read(job: JobContext, source: Source, cache: Path, options: Options, left: LeftOut) -> tuple[dict[str, Any], list[str]]:
    """The splits of a source as ``datasets.Dataset``s, mapped from Arrow files below ``cache``, and notes on how it was read.

    Raises ``DataError``, ``HubError``, ``Stopped``; ``OSError`` for a full disk.
    """
    import datasets

    datasets.utils.logging.set_verbosity(datasets.utils.logging.CRITICAL)
    desk = parts.Desk(job, cache / "copies", options, left)
    with reporting(job, cache):
        if source.repository:
            from engine.data.reading.hub import from_hub

            return from_hub(job, source.repository, cache, options, desk.notes), desk.notes
        source = unpack(job, source, cache / "unpacked", options, left)
        if source.reader in sources.MEDIA:
            found = media_folders.read(job, source, cache / "media", options, left, desk.notes, lambda paths: _metadata(desk, paths, cache))
        else:
            found = _nearly(desk, _load(desk, source, cache))
    if options.rows:
        desk.notes.append(f"Only the first {options.rows:,} rows were taken.")
    return found, desk.notes


def _load(desk: Desk, source: Source, cache: Path) -> dict[str, Any]:
    ready = parts.of(desk, source)
    try:
        return _join([_load_part(desk, part, cache) for part in ready], desk.options.rows)
    except BitternError:
        raise
    except Exception as error:
        full_disk(error)
        desk.job.check()
        if source.reader == "json" and (fault := parts.json_fault(desk, source)):
            raise fault from error
        if source.reader == "parquet" and (fault := parts.parquet_fault(desk, source)):
            raise fault from error
        if source.reader == "csv":
            return _csv_again(desk, ready, cache)
        if len(source.every) > 1 and not desk.options.union and (refused := _differences(desk, ready, cache)):
            raise refused from error
        raise _explained(ready[0].name, error) from error


def _load_part(desk: Desk, part: Part, cache: Path) -> dict[str, Any]:
    from datasets import load_dataset_builder

    # The paths are names, not patterns, even with brackets in them.
    files = {split: [glob.escape(str(path)) for path in paths] for split, paths in part.files.items()}
    found = prepared(desk.job, load_dataset_builder(part.builder, data_files=files, cache_dir=str(cache), **part.options))
    found = {split: _whole(data, part.whole) for split, data in found.items()}
    rows = desk.options.rows
    return {split: data.select(range(rows)) if 0 < rows < len(data) else data for split, data in found.items()}


def _whole(data: Any, columns: frozenset[str]) -> Any:
    """Whole numbers that pandas made fractions because some are missing, whole again."""
    from datasets import Value

    for name in columns & set(data.features):
        if data.features[name] == Value("float64") and data.data.column(name).null_count < len(data):
            data = data.cast_column(name, Value("int64"))
    return data


def prepared(job: JobContext, builder: Any, split: str = "") -> dict[str, Any]:
    """What a builder of ``datasets`` makes; it looks after each piece whether a stop was asked for."""
    generate = getattr(builder, "_generate_tables", None)
    if generate is not None:

        def checked(*arguments: Any, **values: Any) -> Iterator[Any]:
            for piece in generate(*arguments, **values):
                job.check()
                yield piece

        builder._generate_tables = checked
    builder.download_and_prepare()
    found = builder.as_dataset(split or None)
    return dict(found) if isinstance(found, dict) else {split.partition("[")[0]: found}


def _join(loaded: list[dict[str, Any]], rows: int = 0) -> dict[str, Any]:
    if len(loaded) == 1:
        return loaded[0]
    by_split: dict[str, list[Any]] = {}
    for found in loaded:
        for split, data in found.items():
            by_split.setdefault(split, []).append(data)
    everything = union.join([data for found in by_split.values() for data in found])
    made, at = {}, 0
    for split, pieces in by_split.items():
        count = sum(map(len, pieces))
        made[split] = everything.select(range(at, at + (min(rows, count) if rows else count)))
        at += count
    return made


def _differences(desk: Desk, ready: list[Part], cache: Path) -> DataError | None:
    """How the files differ, by reading each alone. ``None`` where they do not, or one of them can't be read at all."""
    columns = {}
    for part in [single for whole in ready for single in parts.by_file(whole)]:
        try:
            found = _load_part(desk, part, cache / "alone")
        except Exception as error:
            full_disk(error)
            return None
        columns[part.name] = {name: words(feature) for data in found.values() for name, feature in data.features.to_dict().items()}
    return union.refusal(columns)


def _csv_again(desk: Desk, ready: list[Part], cache: Path) -> dict[str, Any]:
    """Once more, with types that fit every row: a column changed its type on the way."""
    from datasets import Features, Value

    rank = ("int64", "float64", "string")
    loaded = []
    for part in ready:
        layout = part.layout
        if layout is None:
            continue
        kinds = [csvfile.kinds(desk.job, path, layout) for paths in part.files.values() for path in paths]
        features = Features({name: Value(max((found[at] for found in kinds), key=rank.index)) for at, name in enumerate(layout.names)})
        options = {**part.options, "features": features}
        try:
            loaded.append(_load_part(desk, parts.Part(part.builder, part.name, part.files, options, part.layout, part.whole), cache / "again"))
        except BitternError:
            raise
        except Exception as error:
            full_disk(error)
            raise _explained(part.name, error) from error
    return _join(loaded, desk.options.rows)


def _nearly(desk: Desk, found: dict[str, Any]) -> dict[str, Any]:
    """Columns of numbers, dates or true and false but for a few values: emptied and listed if a person said so, told otherwise."""
    asked = desk.options.bad == "cast"
    nearly = casting.nearly(found, whole=asked)
    if nearly and asked:
        desk.notes += [f"“{column}” was read as {near.kind}{'' if ' ' in near.kind else 's'}." for column, near in nearly.items()]
        return casting.cast(desk.job, found, {column: near.kind for column, near in nearly.items()}, desk.left)
    for column, near in list(nearly.items())[:3]:
        holds = f"{near.odd:,} of {near.total:,} values {near.are_none} (“{near.example[:40]}”)"
        desk.notes.append(f"“{column}” stays text: {holds}. To empty and list {'it' if near.odd == 1 else 'them'}: add it again with --bad cast.")
    return found


def _metadata(desk: Desk, paths: list[Path], cache: Path) -> list[dict[str, Any]]:
    """The rows of a media folder's metadata file."""
    reader = sources.kind_of(paths[0])
    inner = parts.Desk(desk.job, desk.folder / "metadata", desk.options, desk.left)
    found = _load(inner, sources.Source(str(paths[0]), "metadata", reader, {"train": paths}), cache / "metadata")
    rows: list[dict[str, Any]] = found["train"].to_list()
    return rows


def _explained(where: str, error: BaseException) -> DataError:
    """What the reader said, and what to do about it."""
    said = said_by(error)
    if "corresponds to no data" in said:
        return DataError(f"{where} holds no rows.", "There is nothing in it to add.")
    if "does not have a datasets dtype equivalent" in said:
        return DataError(
            f"{where}: {said.split('does not have')[0].strip()} is a type of column that can't be used.",
            "Leave the column out, or write maps as lists of pairs.",
        )
    if "CastError" in "".join(type(link).__name__ for link in chain(error)):
        return DataError(f"{where}: the columns do not stay the same. {said}", "All rows and all files of a dataset need the same columns and types.")
    return DataError(f"{where} can't be read: {said}", "Check that the file is what its ending says.")


def said_by(error: BaseException) -> str:
    """The innermost reason, in one line."""
    text = " ".join(str(list(chain(error))[-1]).split()) or type(error).__name__
    return text if len(text) < 300 else f"{text[:297]}…"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def full_disk(error: BaseException) -> None:
    """The readers wrap everything; a full disk must stay one."""
    for link in chain(error):
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise link


@contextmanager
def reporting(job: JobContext, cache: Path) -> Iterator[None]:
    """Say twice a second how much Arrow has been written; the readers themselves report nothing."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(0.5):
            if written := sum(file.stat().st_size for file in cache.rglob("*.arrow") if file.is_file()):
                job.progress(written, None, "bytes", "reading")

    thread = threading.Thread(target=report, name="reading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
