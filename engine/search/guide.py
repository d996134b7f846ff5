"""Bittern's own guide as a dataset, a row a section."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING

from engine.data.lineage import steps, versions
from engine.paths import replace_folder
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext

NAME = "guide"
PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n?", re.MULTILINE)
"""A line of Markdown that shows a picture: nothing to search."""


def guide_rows() -> list[dict[str, str]]:
    """The sections of the packaged pages, in order: title, page, text."""
    rows = []
    pages = sorted((page for page in (resources.files("engine") / "guide").iterdir() if page.name.endswith(".md")), key=lambda page: page.name)
    for page in pages:
        text = page.read_text("utf-8")
        name = re.search(r"^# (.+)$", text, re.MULTILINE)
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            title, _, body = PICTURE.sub("", section).partition("\n")
            rows.append({"title": title.strip(), "page": name[1].strip() if name else page.name, "text": f"{title.strip()}: {body.strip()}"})
    return rows


def add_guide(job: JobContext) -> DatasetRecord:
    """Write the dataset ``guide`` and put its record."""
    from datasets import Dataset

    workspace = job.workspace
    rows = guide_rows()
    fingerprint = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    folder = workspace.paths.datasets / NAME / fingerprint
    with versions.making(workspace, NAME) as ready:
        Dataset.from_list(rows).save_to_disk(str(ready / "train"))
        replace_folder(ready, folder)
    record = DatasetRecord(
        name=NAME, source="Bittern's own guide", folder=str(folder), fingerprint=fingerprint,
        splits={"train": len(rows)}, features={"title": "string", "page": "string", "text": "string"}, shape="text", columns={"text": "text"},
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )  # fmt: skip
    versions.brought(workspace, record, steps.Start(verb="guide"))
    versions.sweep(workspace, NAME)
    job.changed("datasets", NAME)
    if not workspace.recall("dataset"):
        workspace.remember("dataset", NAME)
        job.changed("settings", "dataset")
    return record
