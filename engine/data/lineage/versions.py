"""A dataset's history: doing a step, taking it back, doing it again from the source.

A version is a folder of its own beside the others, and writing its record is what puts it in force: a kill leaves the
dataset at the version it had or at the new one. Folders are given back to the disk by :func:`prune` alone.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.lineage import change as changing
from engine.data.lineage import steps
from engine.data.rows import open_folder
from engine.errors import BitternError, DataError
from engine.paths import replace_folder
from engine.store.versions import Moved, VersionRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.data.shards import Pace
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

LEFT = 24 * 3600
"""Seconds after which a half-made folder is taken to be left by a process that was killed."""
SAME_ROWS = ("edit", "label", "map", "cast", "rename", "drop")
"""Steps after which a row's address still means the same row."""
_editing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Changed:
    """A step that was done: the dataset before and after. The same version twice: there was nothing to change."""

    before: DatasetRecord
    after: DatasetRecord

    @property
    def nothing(self) -> bool:
        return self.before.fingerprint == self.after.fingerprint


def brought(workspace: Workspace, record: DatasetRecord, start: steps.Start) -> None:
    """Store a dataset that an import made; what the dataset was before stays in its history, for ``undo``."""
    old = workspace.datasets.find(record.name)
    if old is not None:
        workspace.versions.begin(old)
    parent = old.fingerprint if old and old.fingerprint != record.fingerprint else ""
    workspace.versions.put(record, parent, start.as_json())


def change(workspace: Workspace, pace: Pace, name: str, step: steps.Step, *, new: str = "") -> Changed:
    """Do a step on the dataset as it is now: a new version of it, or a dataset ``new`` that keeps the lineage.

    A dataset that moved on meanwhile gets the step on its new rows. Raises ``BitternError`` or ``Stopped``.
    """
    sweep(workspace, new or name)
    while True:
        try:
            return _change(workspace, pace, name, step, new)
        except Moved:
            pace.check()


def edit(workspace: Workspace, pace: Pace, name: str, step: steps.Edit, *, at: str = "") -> Changed:
    """Change one cell. ``at`` is the version that the row's number was read from, if it may be another by now.

    Raises ``DataError`` when the rows have moved since.
    """
    with _editing:
        at = at or workspace.datasets.get(name).fingerprint
        while True:
            if not _same_rows(workspace, name, at):
                raise DataError(f"The rows of {name} were put in another order meanwhile.", "Look at the row again, then change it.")
            try:
                return _change(workspace, pace, name, step, "")
            except Moved:
                pace.check()


def undo(workspace: Workspace, name: str) -> VersionRecord:
    """Back to the version from which the current one was made. Raises ``DataError`` at the start."""
    record = workspace.datasets.get(name)
    current = workspace.versions.begin(record)
    earlier = workspace.versions.find(name, current.parent) if current.parent else None
    if earlier is None:
        raise DataError(f"There is nothing to undo: {name} is as it was brought.", f"`history {name}` shows its versions.")
    return _go(workspace, current, earlier)


def redo(workspace: Workspace, name: str) -> VersionRecord:
    """The version that the last undo left. Raises ``DataError`` when there is none."""
    record = workspace.datasets.get(name)
    current = workspace.versions.begin(record)
    later = workspace.versions.latest_child(name, current.fingerprint)
    if later is None:
        raise DataError(f"There is nothing to redo: no step was undone from this version of {name}.", f"`history {name}` shows its versions.")
    return _go(workspace, current, later)


def go_to(workspace: Workspace, name: str, number: int) -> VersionRecord:
    """Any version, by its number. Raises ``DataError`` for one that is not there."""
    record = workspace.datasets.get(name)
    current = workspace.versions.begin(record)
    return _go(workspace, current, numbered(workspace, name, number))


def numbered(workspace: Workspace, name: str, number: int) -> VersionRecord:
    """Raises ``DataError`` for a number that no version has."""
    every = workspace.versions.all(name)
    found = next((version for version in every if version.number == number), None)
    if found is None:
        raise DataError(
            f"{name} has no version {number}.", f"Its versions are 1 to {len(every)}: history {name}" if every else "It has no history yet."
        )
    return found


def lineage(workspace: Workspace, version: VersionRecord) -> list[VersionRecord]:
    """The versions from the start of the lineage to this one. An import ends the way back: it has a source of its own."""
    chain = [version]
    while chain[0].parent and chain[0].step["kind"] != "start":
        chain.insert(0, workspace.versions.get(version.dataset, chain[0].parent))
    return chain


def stands(record: DatasetRecord) -> bool:
    """Whether a version's rows are there, whole."""
    try:
        return bool(record.folder) and all(open_folder(Path(record.folder) / split).rows == count for split, count in record.splits.items())
    except BitternError:
        return False


def sweep(workspace: Workspace, name: str) -> None:
    """Remove what lies in a dataset's folder and belongs to no version: a replaced folder, or what a kill left."""
    own = workspace.paths.datasets / name
    current = workspace.datasets.find(name)
    # The current one counts even where its history has not begun: a workspace may be older than the table of versions.
    kept = {Path(record.folder) for record in [*(v.record for v in workspace.versions.all(name)), *filter(None, [current])] if record.folder}
    for entry in own.iterdir() if own.is_dir() else ():
        recent = entry.name.startswith(".") and time.time() - entry.stat().st_mtime < LEFT
        if not recent and not any(entry.is_relative_to(folder) for folder in kept):
            shutil.rmtree(entry, ignore_errors=True)


def prune(workspace: Workspace, name: str, *, do: bool) -> tuple[list[VersionRecord], int]:
    """The versions other than the current one whose rows can be given back, and how many bytes that frees.

    ``do`` removes them; their steps stay known, so that ``replay`` can make them again.
    """
    current = workspace.datasets.get(name)
    old = [version for version in workspace.versions.all(name) if version.fingerprint != current.fingerprint and version.kept]
    shared = {(file.stat().st_dev, file.stat().st_ino) for file in _files(current)}
    sizes = {(at.st_dev, at.st_ino): at.st_size for version in old for file in _files(version.record) for at in [file.stat()]}
    free = sum(size for place, size in sizes.items() if place not in shared)
    for version in old if do else ():
        # The record goes first: a kill then leaves a folder that is nobody's, which the next sweep removes.
        workspace.versions.place(version, replace(version.record, folder=""))
        folder = Path(version.record.folder)
        for split in version.record.splits:
            shutil.rmtree(folder / split, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return old, free


def others_of(workspace: Workspace, step: steps.Step) -> list[DatasetRecord]:
    """The datasets that a step takes rows from, each at the version it names. Raises ``DataError``, ``NotFound``."""
    found = []
    for other in step.others if isinstance(step, steps.Concat) else ():
        current = workspace.datasets.get(other.name)
        if current.fingerprint != other.fingerprint:
            version = workspace.versions.get(other.name, other.fingerprint)
            if not version.kept:
                raise DataError(
                    f"Version {version.number} of {other.name} is no longer on the disk.", f"Make it again: replay {other.name} --to {version.number}"
                )
            current = version.record
        found.append(current)
    return found


@contextmanager
def making(workspace: Workspace, name: str) -> Iterator[Path]:
    """A folder, not there yet, to make a version in. Nobody looks into it, and nothing stays of it."""
    own = workspace.paths.datasets / name
    own.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=own))
    try:
        yield temporary / "ready"
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _change(workspace: Workspace, pace: Pace, name: str, step: steps.Step, new: str) -> Changed:
    """One try. Raises ``Moved`` when the dataset was changed while the step was done."""
    parent = workspace.datasets.get(name)
    if new and workspace.datasets.find(new):
        raise DataError(f"“{new}” is already a dataset.", "Choose another name with --as.")
    versions = workspace.versions
    current = versions.begin(parent)
    fingerprint = steps.fingerprint(parent.fingerprint, step)
    target = new or name
    expect = "" if new else parent.fingerprint
    before = lineage(workspace, current) if new else ()
    found = versions.find(target, fingerprint)
    if found is not None and stands(found.record):
        versions.put(found.record, current.fingerprint, step.as_json(), expect=expect)
        return Changed(parent, found.record)
    with making(workspace, name) as ready:
        made = changing.apply(parent, step, ready, fingerprint, pace, others_of(workspace, step))
        if made is None:
            return Changed(parent, parent)
        final = workspace.paths.datasets / target / fingerprint
        final.parent.mkdir(parents=True, exist_ok=True)
        pace.check()
        replace_folder(ready, final)
        record = replace(made, name=target, folder=str(final))
        versions.put(record, current.fingerprint, step.as_json(), expect=expect, before=before)
    return Changed(parent, record)


def _go(workspace: Workspace, current: VersionRecord, version: VersionRecord) -> VersionRecord:
    if not stands(version.record):
        raise DataError(
            f"Version {version.number} of {version.dataset} is no longer on the disk.",
            f"Make it again: replay {version.dataset} --to {version.number}",
        )
    try:
        workspace.versions.go(version, expect=current.fingerprint)
    except Moved:
        raise DataError(f"{version.dataset} was changed at the same moment.", "Look again, and decide then.") from None
    return version


def _same_rows(workspace: Workspace, name: str, at: str) -> bool:
    """Whether a row's number at the version ``at`` means the same row now."""
    if (now := workspace.datasets.get(name).fingerprint) == at:
        return True
    version = workspace.versions.find(name, now)
    while version is not None and version.step["kind"] in SAME_ROWS:
        if version.parent == at:
            return True
        version = workspace.versions.find(name, version.parent)
    return False


def _files(record: DatasetRecord) -> list[Path]:
    return [file for split in record.splits for file in (Path(record.folder) / split).rglob("*") if file.is_file()]
