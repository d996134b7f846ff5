"""What is needed to run a training again and to say whether it came out the same: in one file, with no rows and no weights."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError, DataError, JobError, JobRefused, ModelError, NotFound
from engine.jobs.surroundings import surroundings

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord
    from engine.store.jobs import JobRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

FORMAT = 1
SAME = 1e-6
"""Losses of two runs that differ by no more are the same."""


@dataclass(frozen=True, slots=True)
class Capsule:
    """``dataset`` and ``base`` say which rows and weights; ``losses`` and ``eval_losses`` are ``[step, loss]``."""

    command: dict[str, Any]
    made_with: dict[str, Any]
    dataset: dict[str, Any]
    base: dict[str, Any]
    losses: list[list[float]]
    eval_losses: list[list[float]]
    changes: list[dict[str, Any]] = field(default_factory=list)
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``steps`` that were held against each other (the measure before the first is none), the largest difference of a loss,
    and the first step that differs by more than ``SAME``."""

    steps: int
    worst: float
    first: int | None
    differs: list[str]
    """What is not as it was: versions, machine."""

    @property
    def same(self) -> bool:
        return self.steps > 0 and self.first is None


def of_job(workspace: Workspace, job: JobRecord) -> Capsule:
    """The capsule of a training that is done. Raises ``JobError``, ``NotFound``."""
    if job.verb != "train":
        raise JobRefused(f"Job {job.id} is a job of `{job.verb}`: only a training can be replayed.", "`jobs` lists them.")
    if job.state != "done":
        raise JobRefused(f"Job {job.id} is {job.state}: there is nothing to hold a replay against.", f"Bring it to its end: resume {job.id}")
    folder = workspace.paths.job(job.id)
    try:
        told, result, dataset = (json.loads((folder / name).read_text("utf-8")) for name in ("job.json", "result.json", "dataset.json"))
    except (OSError, ValueError) as error:
        raise JobError(f"What job {job.id} wrote down is gone: {error}.", "A training that is run again writes it anew.") from None
    return Capsule(
        command=told["command"], made_with=told.get("made_with", {}), changes=told.get("changes", []),
        dataset={key: dataset[key] for key in ("name", "fingerprint", "source", "splits")} | {"steps": _lineage(workspace, dataset)},
        base=_base(workspace.models.get(str(told["command"]["base"]))), losses=result["data"]["losses"], eval_losses=result["data"]["eval_losses"],
    )  # fmt: skip


def read(file: Path) -> Capsule:
    """A capsule from its file. Raises ``DataError``."""
    try:
        found = json.loads(file.read_text("utf-8"))
        if found.get("format") != FORMAT:
            raise DataError(f"{file} is a capsule of format {found.get('format')}; this Bittern reads {FORMAT}.", "Use the Bittern that wrote it.")
        return Capsule(**found)
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.", "Give a file that `capsule` wrote.") from None
    except (ValueError, TypeError, AttributeError):
        raise DataError(f"{file} is no capsule of a training.", "Give a file that `capsule` wrote.") from None


def find_rows(workspace: Workspace, capsule: Capsule) -> DatasetRecord:
    """The dataset of this workspace that has the capsule's rows, whatever its name. Raises ``DataError``."""
    wanted = capsule.dataset["fingerprint"]
    records = workspace.datasets.all()
    if found := next((record for record in records if record.fingerprint == wanted), None):
        return found
    name = str(capsule.dataset["name"])
    if workspace.versions.find(name, wanted):
        raise DataError(
            f"“{name}” has changed since that training.", f"Go back to its rows first: `history {name}` lists the versions, `undo` goes there."
        )
    done = "; then ".join(capsule.dataset["steps"])
    raise DataError(
        f"No dataset here has the rows of that training ({name}, fingerprint {wanted}).",
        f"Bring them first, from {capsule.dataset['source']}" + (f" ({done})." if done else "."),
    )


def find_base(workspace: Workspace, capsule: Capsule) -> ModelRecord:
    """The model of this workspace with the capsule's base weights, whatever its name. Raises ``ModelError``."""
    wanted, name = capsule.base["sha256"], str(capsule.base["name"])
    candidates = [record for record in workspace.models.all() if record.kind != "adapter"]
    for record in sorted(candidates, key=lambda record: record.name != name):
        if record.bytes == capsule.base["bytes"] or record.name == name:
            with suppress(BitternError):
                if digest(record) == wanted:
                    return record
    here = "has other weights" if name in workspace.models.names() else "is not here"
    revision = f" at revision {capsule.base['revision']}" if capsule.base["revision"] else ""
    raise ModelError(f"The model “{name}” that was trained {here}.", f"Bring it first: pull {capsule.base['source']}{revision}")


def digest(record: ModelRecord) -> str:
    """SHA-256 over a model's weight files, in the order of their names. Raises ``ModelError`` where they are gone."""
    files = [Path(record.gguf)] if record.gguf else sorted(Path(record.folder).glob("*.safetensors"))
    total = hashlib.sha256()
    try:
        for file in files:
            with file.open("rb") as handle:
                total.update(hashlib.file_digest(handle, "sha256").digest())
    except OSError as error:
        raise ModelError(f"The files of “{record.name}” can't be read: {error}.", f"Bring them back with: pull {record.source}") from None
    return total.hexdigest()


def compare(capsule: Capsule, losses: list[list[float]], eval_losses: list[list[float]]) -> Verdict:
    """Hold the losses of a replay against those of the capsule, step by step."""
    gaps: dict[int, float] = {}
    for before, after in ((capsule.losses, losses), (capsule.eval_losses, eval_losses)):
        now = {int(step): loss for step, loss in after}
        for step, loss in before:
            gap = abs(now.get(int(step), nan) - loss)
            gaps[int(step)] = max(gaps.get(int(step), 0.0), gap) if isfinite(gap) else nan
    first = next((step for step in sorted(gaps) if not gaps[step] <= SAME), None)
    # A loss that is missing or no number differs, by nothing that could be told.
    known = [gap for gap in gaps.values() if isfinite(gap)]
    return Verdict(sum(step > 0 for step in gaps), max(known, default=0.0), first, differences(capsule.made_with, surroundings()))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What two surroundings do not share, in words."""
    found = []
    if before.get("python") != now["python"]:
        found.append(f"Python {before.get('python')} → {now['python']}")
    libraries = {**before.get("libraries", {}), **now["libraries"]}
    for name in libraries:
        old, new = before.get("libraries", {}).get(name), now["libraries"].get(name)
        if old != new:
            found.append(f"{name} {old or 'absent'} → {new or 'absent'}")
    for name, new in now["machine"].items():
        if (old := before.get("machine", {}).get(name)) != new:
            found.append(f"{name} {old or 'none'} → {new or 'none'}")
    return found


def _base(record: ModelRecord) -> dict[str, Any]:
    return {"name": record.name, "source": record.source, "revision": record.revision, "bytes": record.bytes, "sha256": digest(record)}


def _lineage(workspace: Workspace, dataset: dict[str, Any]) -> list[str]:
    """The steps that made the rows, in words; none where they are not known any more."""
    from engine.data.lineage import steps
    from engine.data.lineage.versions import lineage

    version = workspace.versions.find(dataset["name"], dataset["fingerprint"])
    try:
        return [steps.from_json(step.step).says() for step in lineage(workspace, version)] if version else []
    except (NotFound, ValueError):
        return []
