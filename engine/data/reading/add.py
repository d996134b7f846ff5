"""The import: a source becomes Arrow on disk and a record. Nothing is changed until all of it is ready."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from engine.data import rows, shape
from engine.data.features import named_labels
from engine.data.lineage import steps, versions
from engine.data.reading import sources, splits
from engine.data.reading.faults import FILE, LeftOut
from engine.data.reading.options import Options
from engine.data.reading.read import read
from engine.data.shards import Form, SplitWriter, words
from engine.errors import DataError
from engine.paths import replace_folder
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.workspace import Workspace

PLAIN = Options()
ROWS, MEDIA = 1000, 50
"""Rows written at once: of text, and of pictures or sounds."""
SAMPLE = 200
"""Rows looked at to recognise the shape."""


def choose_name(workspace: Workspace, source: sources.Source, name: str = "") -> str:
    """The dataset's name: as given, or from the source. The same source under the same name is a new version of it.

    Raises ``DataError`` when the name is another source's.
    """
    name = name or source.name
    found = workspace.datasets.find(name)
    if found is None or found.source == source.text:
        return name
    taken, number = set(workspace.datasets.names()), 2
    while f"{name}-{number}" in taken:
        number += 1
    raise DataError(
        f"“{name}” is already a dataset, from {found.source}.", f"Give this one another name: --name {name}-{number}. Or first: forget {name}"
    )


def add(job: JobContext, source: sources.Source, name: str, options: Options, start: steps.Start) -> DatasetRecord:
    """Import ``source`` as ``name``; ``start`` says how to do it again. Raises ``BitternError`` or ``Stopped``, and then
    the workspace is as it was.

    A new version stands in a folder of its own, beside the old one; writing the record is what puts it in force.
    """
    ready, cache = job.folder / "ready", job.folder / "reading"
    _clear(ready, cache)
    left = LeftOut(ready / FILE)
    try:
        fingerprint = _fingerprint(job, source, options)
        found, notes = read(job, source, cache, options, left)
        record = _save(job, source, name, found, ready, options)
        left.close()
        record = replace(record, fingerprint=fingerprint or _hash(job, sorted(ready.rglob("*.arrow")), options))
        final = job.workspace.paths.datasets / name / record.fingerprint
        final.parent.mkdir(parents=True, exist_ok=True)
        size = sum(file.stat().st_size for file in ready.rglob("*") if file.is_file())
        told = " ".join(note for note in (*notes, left.note(final), record.note) if note)
        record = replace(record, folder=str(final), bytes=size, note=told)
        job.check()
        if not _stands(job.workspace, record):
            replace_folder(ready, final)
        versions.brought(job.workspace, record, start)
    finally:
        left.close()
        _clear(ready, cache)
    versions.sweep(job.workspace, name)
    return record


def _stands(workspace: Workspace, record: DatasetRecord) -> bool:
    """Whether the same rows are there already, whole: then they are not moved from under a kill or a reader."""
    known = workspace.versions.find(record.name, record.fingerprint)
    old = known.record if known else workspace.datasets.find(record.name)
    return old is not None and old.folder == record.folder and versions.stands(record)


def _save(job: JobContext, source: sources.Source, name: str, found: dict[str, Any], ready: Path, options: Options) -> DatasetRecord:
    found = {split: data for split, data in found.items() if len(data)}
    if not found:
        raise DataError(f"{source.text} holds no rows.", "There is nothing in it to add.")
    features = {column: words(feature) for column, feature in next(iter(found.values())).features.to_dict().items()}
    given = options.columns or {}
    if missing := next(iter({role: column for role, column in given.items() if column not in features}), ""):
        shape.corrected(features, [], {missing: given[missing]})  # raises, naming the columns
    found = {split: named_labels(data) for split, data in found.items()}
    kind, columns = shape.corrected({c: "string" if f.startswith("label") else f for c, f in features.items()}, _sample(found), given)
    label = columns.get("label", "") if kind in shape.LABELLED else ""
    made, note = splits.with_test(found, options.test, options.seed, label)
    total, done = sum(map(len, made.values())), 0
    for split, data in made.items():
        for count in _written(job, data, ready / split):
            done += count
            job.progress(done, total, "rows", "writing")
    counts = {split: len(data) for split, data in made.items()}
    return DatasetRecord(
        name=name,
        source=source.text,
        folder=str(ready),
        fingerprint="",
        splits=counts,
        features=features,
        shape=kind,
        columns=columns,
        bytes=0,
        note=note,
    )


def _written(job: JobContext, data: Any, folder: Path) -> Iterator[int]:
    """Write a split, batch by batch, and say how many rows each had; pictures and sounds in files beside come in with it.

    ``datasets`` writes a split in one go, and could not be stopped on the way.
    """
    from datasets.table import embed_table_storage, table_cast

    schema, features = data.features.arrow_schema.remove_metadata(), data.features.to_dict()
    info = {name: getattr(data.info, name) or "" for name in ("citation", "description", "homepage", "license")}
    media = any(kind in str(features) for kind in ("'Image'", "'Audio'", "'Video'", "'Pdf'"))
    with SplitWriter(folder, Form(schema, features, info), data._fingerprint) as writer:
        for piece in data.with_format("arrow").iter(MEDIA if media else ROWS):
            job.check()
            table = table_cast(piece, data.features.arrow_schema)
            table = embed_table_storage(table, local_files=True, remote_files=False) if media else table
            for batch in table.combine_chunks().to_batches():
                writer.write(batch)
            yield table.num_rows


def _sample(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows from the beginning and from the middle of the first split."""
    data = next(iter(found.values()))
    middle = max(SAMPLE // 2, len(data) // 2)
    arrow = data.with_format("arrow")
    pieces = [arrow[: SAMPLE // 2], arrow[middle : middle + SAMPLE // 2]]
    return [row for piece in pieces for batch in piece.to_batches() for row in rows.plain_rows(batch)]


def _fingerprint(job: JobContext, source: sources.Source, options: Options) -> str:
    """The same for the same content and options; empty for the Hub, whose content is not here yet."""
    return "" if source.repository else _hash(job, source.every, options)


def _hash(job: JobContext, files: list[Path], options: Options) -> str:
    told = {name: value for name, value in asdict(options).items() if value != getattr(PLAIN, name) or name in ("test", "seed")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    total, done = sum(path.stat().st_size for path in files), 0
    for path in files:
        digest.update(f"\0{path.name}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                job.check()
                digest.update(block)
                done += len(block)
                job.progress(done, total, "bytes", "fingerprint")
    return digest.hexdigest()[:16]


def _clear(*paths: Path) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
