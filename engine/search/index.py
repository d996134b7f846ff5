"""Building an index: a job that reports, resumes, and appears only when it is whole."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.rows import window
from engine.errors import DataError
from engine.models.load import resolve
from engine.search.encoder import Encoder
from engine.search.passages import Passage, passages
from engine.store.indexes import IndexRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

CHUNK = 128
"""Rows embedded and stored at once. A chunk is stored whole or not at all, so that a resumed index has the same
batches, and therefore the same vectors, as one that was never stopped."""
PAYS_FROM = 20_000
"""Passages from which a vector index beats a flat scan (DESIGN.md has the figures)."""


def folder_of(workspace: Workspace, dataset: DatasetRecord, encoder: ModelRecord, columns: list[str]) -> Path:
    """Where the index belongs of these rows, by this encoder (not merely one of its name), over these columns."""
    text = f"{dataset.fingerprint}|{encoder.name}|{encoder.source}|{encoder.revision}|{encoder.bytes}|{columns}"
    return workspace.paths.indexes / f"{dataset.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def fresh(workspace: Workspace, dataset: DatasetRecord, encoder: ModelRecord, columns: list[str]) -> IndexRecord | None:
    """The index that serves the dataset as it is now, if there is one."""
    found = workspace.indexes.find(dataset.name)
    wanted = folder_of(workspace, dataset, encoder, columns).name
    # A rebuilt index has its job's number after the name.
    return found if found and Path(found.folder).name.startswith(wanted) and Path(found.folder).is_dir() else None


def build(job: JobContext, dataset: DatasetRecord, encoder_name: str, columns: list[str], *, afresh: bool = False) -> IndexRecord:
    """Embed what is not stored yet, add the full-text index, and put the record; ``afresh`` keeps nothing of an
    earlier index, which serves until this one is whole. Raises ``DataError``; ``Stopped``."""
    import lancedb

    workspace = job.workspace
    model = workspace.models.get(encoder_name)
    folder = folder_of(workspace, dataset, model, columns)
    if afresh:
        folder = folder.with_name(f"{folder.name}-{job.id}")
    total = dataset.rows
    job.progress(0, total, "rows", "loading the encoder")
    encoder = Encoder(resolve(workspace, model)[0], workspace.settings.threads)
    job.check()
    table = _table(lancedb.connect(str(folder)), encoder.dimension)
    stored = set(table.search().select(["chunk"]).limit(table.count_rows() or 1).to_arrow()["chunk"].to_pylist()) if table.count_rows() else set()
    done = 0
    for split, rows in dataset.splits.items():
        for first in range(0, rows, CHUNK):
            job.check()
            chunk = f"{split}/{first}"
            if chunk not in stored:
                found = list(passages(dataset, split, first, window(dataset, split, first, CHUNK), columns or None))
                if found:
                    table.add(_arrow(job, encoder, found, chunk, done, total))
            done = min(total, done + min(CHUNK, rows - first))
            job.progress(done, total, "rows", "embedding")
    count = table.count_rows()
    if not count:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"“{dataset.name}” has no text to search.", f"Name the columns to embed: --columns. It has {', '.join(dataset.features)}.")
    job.progress(total, total, "rows", "indexing the words")
    _finish(table, count)
    record = IndexRecord(dataset.name, dataset.fingerprint, encoder_name, str(folder), columns, count)
    workspace.indexes.put(record)
    for other in workspace.paths.indexes.iterdir():
        if re.fullmatch(re.escape(dataset.name) + r"-[0-9a-f]{12}(-\d+)?", other.name) and other != folder:
            shutil.rmtree(other, ignore_errors=True)
    job.changed("indexes", dataset.name)
    return record


def _table(database: Any, dimension: int) -> Any:
    import pyarrow as pa

    schema = pa.schema(
        [
            ("id", pa.string()), ("chunk", pa.string()), ("split", pa.string()), ("row", pa.int64()), ("piece", pa.int32()),
            ("text", pa.string()), ("vector", pa.list_(pa.float32(), dimension)),
        ]
    )  # fmt: skip
    return database.create_table("passages", schema=schema, exist_ok=True)


def _arrow(job: JobContext, encoder: Encoder, found: list[Passage], chunk: str, done: int, total: int) -> Any:
    import pyarrow as pa

    def each(count: int) -> None:
        job.check()
        job.progress(min(total, done + count), total, "rows", "embedding")

    vectors = encoder.documents([passage.text for passage in found], each)
    return pa.table(
        {
            "id": [passage.id for passage in found],
            "chunk": [chunk] * len(found),
            "split": [passage.split for passage in found],
            "row": pa.array([passage.row for passage in found], pa.int64()),
            "piece": pa.array([passage.piece for passage in found], pa.int32()),
            "text": [passage.text for passage in found],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
        }
    )


def _finish(table: Any, count: int) -> None:
    from lancedb.index import FTS

    table.optimize()
    table.create_index("text", config=FTS(), replace=True)
    if count >= PAYS_FROM:
        table.create_index(metric="cosine", index_type="IVF_RQ", replace=True)
