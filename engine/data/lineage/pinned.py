"""The rows that a job began with, whatever becomes of the dataset's name while it waits to go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from engine.paths import write_json
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext


def dataset_of(job: JobContext, name: str, *, begun: bool = False, kept: bool = True) -> DatasetRecord:
    """The dataset as it was when the job first asked; ``begun`` says that this attempt asked before. Raises ``NotFound``.

    Adding it again meanwhile makes a new version, and leaves the old rows in their place for as long as a job that is
    not over names them; where they are gone all the same, the job goes on with the new ones and says so. An attempt of
    which nothing is ``kept`` begins anew, with the rows that there are by now: they may have been mended for it.
    """
    file = job.folder / "dataset.json"
    record = job.workspace.datasets.find(name)
    if (job.resumed or begun) and file.is_file():
        began = DatasetRecord(**json.loads(file.read_text("utf-8")))
        changed = record is not None and record.fingerprint != began.fingerprint
        if began.name == name and (kept or begun or not changed) and Path(began.folder).is_dir():
            if changed and not begun:
                job.log(
                    f"“{name}” has changed since this job began. It goes on with the rows it began with; a new job takes the new ones.", "warning"
                )
            return began
        if not kept and changed:
            job.log(f"“{name}” has changed since this job began, and nothing was done yet: it begins with the new rows.", "warning")
        else:
            job.log(f"The rows of “{name}” that this job began with are gone: it goes on with those there are now.", "warning")
    record = record or job.workspace.datasets.get(name)
    write_json(file, asdict(record))
    return record
