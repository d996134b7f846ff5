"""The import: a source becomes Arrow on disk and a record. Nothing is changed until all of it is ready."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.data import rows, shape, sources, splits, steps, versions
from engine.data.read import read
from engine.errors import DataError
from engine.paths import replace_folder
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.workspace import Workspace

SAMPLE = 200
"""Rows looked at to recognise the shape."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a source. ``columns`` maps the roles that a person named (text, label, …) to columns."""

    test: float = 0.1
    seed: int = 42
    delimiter: str = ""
    encoding: str = ""
    by: str = ""
    revision: str = ""
    subset: str = ""
    columns: dict[str, str] | None = None


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
    try:
        fingerprint = _fingerprint(job, source, options)
        found = read(
            job,
            source,
            cache,
            delimiter=options.delimiter,
            encoding=options.encoding,
            by=options.by,
            revision=options.revision,
            subset=options.subset,
        )
        record = _save(job, source, name, found, ready, options)
        record = replace(record, fingerprint=fingerprint or _hash(job, sorted(ready.rglob("*.arrow")), options))
        final = job.workspace.paths.datasets / name / record.fingerprint
        final.parent.mkdir(parents=True, exist_ok=True)
        record = replace(record, folder=str(final), bytes=sum(file.stat().st_size for file in ready.rglob("*") if file.is_file()))
        job.check()
        if not _stands(job.workspace, record):
            replace_folder(ready, final)
        versions.brought(job.workspace, record, start)
    finally:
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
    features = {column: words(feature) for column, feature in next(iter(found.values())).features.items()}
    given = options.columns or {}
    if missing := next(iter({role: column for role, column in given.items() if column not in features}), ""):
        shape.corrected(features, [], {missing: given[missing]})  # raises, naming the columns
    made, note = splits.with_test({split: _named_labels(data) for split, data in found.items()}, options.test, options.seed)
    total, done = sum(map(len, made.values())), 0
    for split, data in made.items():
        job.check()
        job.progress(done, total, "rows", "writing")
        data.save_to_disk(str(ready / split))
        done += len(data)
    job.progress(done, total, "rows", "writing")
    first = rows.open_folder(ready / next(iter(made)))
    sample = first.window(0, SAMPLE // 2) + first.window(max(SAMPLE // 2, first.rows // 2), SAMPLE // 2)
    kind, columns = shape.corrected({c: "string" if f.startswith("label") else f for c, f in features.items()}, sample, given)
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


def words(feature: Any) -> str:
    """A column's type in plain words."""
    kind = type(feature).__name__
    if kind == "Value":
        return {"large_string": "string", "large_binary": "binary", "string_view": "string"}.get(feature.dtype, str(feature.dtype))
    if kind == "ClassLabel":
        return "string"  # stored as the names, see ``_named_labels``
    if kind in ("List", "LargeList"):
        return f"list of {words(feature.feature)}"
    if isinstance(feature, dict):
        return f"struct {{{', '.join(f'{name}: {words(inner)}' for name, inner in feature.items())}}}"
    if isinstance(feature, list):
        return f"list of {words(feature[0])}"
    return kind.lower()


def _named_labels(data: Any) -> Any:
    """Class numbers as the names they stand for, so that every reader of the rows sees the same thing."""
    from datasets import ClassLabel, Value

    for column, feature in data.features.items():
        if isinstance(feature, ClassLabel) and feature.names:
            names = dict(enumerate(feature.names))

            def named(values: list[int | None], names: dict[int, str] = names, column: str = column) -> dict[str, list[str | None]]:
                return {column: [None if value is None else names.get(value) for value in values]}

            features = data.features.copy()
            features[column] = Value("string")
            data = data.map(named, batched=True, input_columns=[column], features=features)
    return data


def _fingerprint(job: JobContext, source: sources.Source, options: Options) -> str:
    """The same for the same content and options; empty for the Hub, whose content is not here yet."""
    return "" if source.repository else _hash(job, source.every, options)


def _hash(job: JobContext, files: list[Path], options: Options) -> str:
    told = [options.test, options.seed, options.delimiter, options.encoding, options.by, options.columns or {}]
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
