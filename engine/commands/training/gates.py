"""The gates of a training joined: what its tokens show, and whether its held-out rows leak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.paths import write_json
from engine.training.gates import LEAK, Gate, judge, of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


def found(job: JobContext, spec: TrainSpec, prepared: Prepared) -> list[Gate]:
    """Every gate, with what it found. Raises ``Stopped``."""
    return [*of_rows(spec, prepared), leak(job, spec)]


def keep(job: JobContext, spec: TrainSpec, prepared: Prepared, allow: Sequence[str]) -> dict[str, Any]:
    """Pass the gates, once for a job; returns what the model's record should say. Raises ``DataError``, ``Stopped``."""
    file = file_of(job)
    if not (job.resumed and file.is_file()):
        gates = found(job, spec, prepared)
        write_json(file, {"gates": [gate.as_dict() for gate in gates], "allowed": judge(job, gates, allow)})
    allowed = kept(job)["allowed"]
    return {"allowed": allowed} if allowed else {}


def kept(job: JobContext) -> dict[str, Any]:
    """What a job's gates found: ``gates``, and ``allowed`` in words."""
    said: dict[str, Any] = json.loads(file_of(job).read_text("utf-8"))
    return said


def file_of(job: JobContext) -> Path:
    """Where a job keeps what its gates found."""
    return job.folder / "gates.json"


def leak(job: JobContext, spec: TrainSpec) -> Gate:
    """Whether the held-out rows of a training are among its training rows."""
    from engine.data.lineage.pinned import dataset_of
    from engine.quality.leaks import between
    from engine.training.rows import choose

    record = dataset_of(job, spec.dataset, begun=True)
    learnt, held = choose(record, spec)
    leaks = between(job, _texts(record, learnt), list(_texts(record, held)))
    near = f"{len(leaks.near):,} of {leaks.compared:,} have nearly the same words as a training row"
    if leaks.exact:
        says = f"{len(leaks.exact):,} of {leaks.held:,} held-out rows are in the training rows too" + (f", and {near}." if leaks.near else ".")
        what = f"{spec.dataset} --on {record.columns['text']}" if record.shape == "classification" else spec.dataset
        return Gate("leak", "red" if leaks.share > LEAK else "warning", says, f"`check {spec.dataset}` shows them; `dedupe {what}` takes them out.")
    if leaks.near:
        return Gate("leak", "warning", f"Of the held-out rows {near}.", f"`check {spec.dataset}` shows them.")
    return Gate("leak", "ok", f"None of {leaks.held:,} held-out rows is in the training rows.")


def _texts(record: DatasetRecord, rows: Any) -> Iterator[str]:
    from engine.quality.corpus import text_of

    return (text_of(record, row) for row in rows)
