"""Doing a lineage again from its source, and holding the outcome against what is there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.lineage import change, steps
from engine.data.lineage.columns import slices
from engine.data.lineage.versions import lineage, others_of, stands
from engine.data.rows import Batches, open_folder
from engine.errors import DataError
from engine.paths import replace_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.versions import VersionRecord

    Bring = Callable[[JobContext, steps.Start], DatasetRecord]

WINDOW = 10_000
"""Rows compared at once."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """``imported``: the source itself was read again, and not the first version kept. ``rebuilt``: the version's rows
    were not on the disk, and are now."""

    version: VersionRecord
    steps: int
    imported: bool
    rebuilt: bool


def replay(job: JobContext, version: VersionRecord, bring: Bring) -> Replayed:
    """Make a version again from its source; ``bring`` does the import that a start names.

    Raises ``DataError`` when a step gives something else than it gave then. Nothing is changed, except that a version
    whose rows are missing gets them back.
    """
    chain = lineage(job.workspace, version)
    work = job.folder / "replay"
    shutil.rmtree(work, ignore_errors=True)
    try:
        record, imported = _start(job, chain[0], bring)
        for number, made in enumerate(chain[1:], start=1):
            job.check()
            record = _again(job, record, made, work / str(number))
            # What the step before wrote is no longer needed; the disk holds two versions at most.
            shutil.rmtree(work / str(number - 1), ignore_errors=True)
        whole = stands(version.record)
        if whole:
            _compare(job, record, version)
        else:
            _put_back(job, record, version)
        return Replayed(version, len(chain) - 1, imported, not whole)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _start(job: JobContext, start: VersionRecord, bring: Bring) -> tuple[DatasetRecord, bool]:
    step = steps.from_json(start.step)
    if not isinstance(step, steps.Start):
        raise DataError(f"The lineage of {start.dataset} has no start.", "Add it again from its source.")
    if not step.verb:
        if not stands(start.record):
            raise DataError(f"Nothing says where {start.dataset} came from, and its first version is gone.", f"Its source was: {start.record.source}")
        return start.record, False
    record = bring(job, step)
    if record.fingerprint != start.fingerprint or record.splits != start.record.splits:
        raise DataError(
            f"{start.record.source} is no longer what it was: {start.record.rows:,} rows then, {record.rows:,} now.",
            f"Add it again for a new version of {start.dataset}; the versions there are stay.",
        )
    return replace(record, name=start.dataset), True


def _again(job: JobContext, record: DatasetRecord, made: VersionRecord, ready: Path) -> DatasetRecord:
    step = steps.from_json(made.step)
    found = steps.fingerprint(record.fingerprint, step)
    again = change.apply(record, step, ready, found, job, others_of(job.workspace, step))
    if again is None or found != made.fingerprint or again.splits != made.record.splits or again.features != made.record.features:
        raise DataError(
            f"Step {made.number} of {made.dataset} ({step.says()}) does not give what it gave then.",
            f"The versions there are stay as they are: history {made.dataset}",
        )
    return replace(again, name=made.dataset)


def _compare(job: JobContext, again: DatasetRecord, version: VersionRecord) -> None:
    """Raises ``DataError`` that names the first row that differs."""
    done = 0
    for split, count in again.splits.items():
        one, other = open_folder(Path(again.folder) / split), open_folder(Path(version.record.folder) / split)
        for first in range(0, count, WINDOW):
            job.check()
            if (row := _first_difference(one, other, first)) is not None:
                raise DataError(
                    f"Row {row} of {version.dataset}/{split} is not what its lineage gives.", "The version on the disk was left as it is."
                )
            done += min(WINDOW, count - first)
            job.progress(done, again.rows, "rows", "comparing")


def _first_difference(one: Batches, other: Batches, first: int) -> int | None:
    import pyarrow as pa

    tables = [pa.Table.from_batches(list(slices(batches, first, WINDOW))).combine_chunks() for batches in (one, other)]
    if tables[0].equals(tables[1]):
        return None
    # Not a number is equal to nothing, itself included: what Arrow calls different is looked at again as Python sees it.
    left, right = (table.to_pylist() for table in tables)
    return next((first + number for number, (a, b) in enumerate(zip(left, right, strict=True)) if repr(a) != repr(b)), None)


def _put_back(job: JobContext, record: DatasetRecord, version: VersionRecord) -> None:
    """Give a version its rows again."""
    workspace = job.workspace
    final = workspace.paths.datasets / version.dataset / version.fingerprint
    final.parent.mkdir(parents=True, exist_ok=True)
    if Path(record.folder).is_relative_to(job.folder):
        replace_folder(Path(record.folder), final)
    else:
        shutil.copytree(record.folder, final, dirs_exist_ok=True)
    restored = replace(version.record, folder=str(final))
    workspace.versions.place(version, restored)
    if workspace.datasets.get(version.dataset).fingerprint == version.fingerprint:
        workspace.datasets.put(restored)
