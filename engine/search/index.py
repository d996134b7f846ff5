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
from engine.paths import replace_folder
from engine.search import lists, store, words
from engine.search.encoder import Encoder
from engine.search.passages import Cutter, Passage, cutter, passages
from engine.search.reuse import Known
from engine.store.indexes import IndexRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

CHUNK = 256
"""Rows embedded and stored at once. A chunk is stored whole or not at all, so that a resumed index has the same
batches, and therefore the same vectors, as one that was never stopped."""


def folder_of(workspace: Workspace, dataset: DatasetRecord, encoder: ModelRecord, columns: list[str]) -> Path:
    """Where the index belongs of these rows, by this encoder (not merely one of its name), over these columns."""
    text = f"{store.VERSION}|{dataset.fingerprint}|{way_of(encoder, columns)}"
    return workspace.paths.indexes / f"{dataset.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def way_of(encoder: ModelRecord, columns: list[str]) -> str:
    """What makes a passage's vector, besides its text. An encoder that was trained again under its name is another."""
    trained = f"|{encoder.created}" if "job" in encoder.facts else ""
    return f"{encoder.name}|{encoder.source}|{encoder.revision}|{encoder.bytes}|{columns}{trained}"


def fresh(workspace: Workspace, dataset: DatasetRecord, encoder: ModelRecord, columns: list[str]) -> IndexRecord | None:
    """The index that serves the dataset as it is now, if there is one."""
    found = workspace.indexes.find(dataset.name)
    wanted = folder_of(workspace, dataset, encoder, columns).name
    # A rebuilt index has its job's number after the name.
    return found if found and Path(found.folder).name.startswith(wanted) and store.is_whole(Path(found.folder)) else None


def build(job: JobContext, dataset: DatasetRecord, encoder_name: str, columns: list[str], *, afresh: bool = False) -> IndexRecord:
    """Embed what is not stored yet, index the words, and put the record. What an earlier index has of the same texts
    is taken over. ``afresh`` keeps nothing of it; it serves until this one is whole. Raises ``DataError``; ``Stopped``."""
    workspace = job.workspace
    model = workspace.models.get(encoder_name)
    if not afresh and (there := fresh(workspace, dataset, model, columns)):
        return there
    folder = folder_of(workspace, dataset, model, columns)
    if afresh:
        folder = folder.with_name(f"{folder.name}-{job.id}")
    job.progress(0, dataset.rows, "rows", "loading the encoder")
    encoder = Encoder(resolve(workspace, model)[0], workspace.settings.threads)
    job.check()
    known = Known.none() if afresh else Known.of(workspace, dataset.name, way_of(model, columns))
    files = _embed(job, dataset, encoder, columns, folder / store.CHUNKS, known)
    if not files:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"“{dataset.name}” has no text to search.", f"Name the columns to embed: --columns. It has {', '.join(dataset.features)}.")
    job.progress(dataset.rows, dataset.rows, "rows", "indexing the words")
    count = _finish(job, folder, files, encoder, way_of(model, columns))
    record = IndexRecord(dataset.name, dataset.fingerprint, encoder_name, str(folder), columns, count)
    workspace.indexes.put(record)
    shutil.rmtree(folder / store.CHUNKS, ignore_errors=True)
    for other in workspace.paths.indexes.iterdir():
        if re.fullmatch(re.escape(dataset.name) + r"-[0-9a-f]{12}(-\d+)?", other.name) and other != folder:
            shutil.rmtree(other, ignore_errors=True)
    job.changed("indexes", dataset.name)
    return record


def _embed(job: JobContext, dataset: DatasetRecord, encoder: Encoder, columns: list[str], chunks: Path, known: Known) -> list[Path]:
    """A file for each chunk of rows that has text, in the order of the rows."""
    cut = cutter(encoder.tokenizer, encoder.longest)
    files: list[Path] = []
    done = 0
    for number, (split, rows) in enumerate(dataset.splits.items()):
        for first in range(0, rows, CHUNK):
            job.check()
            file = chunks / f"{number:03d}-{first:012d}.arrow"
            if not file.is_file():
                _chunk(job, dataset, encoder, cut, known, (split, first), columns, file, done)
            files.append(file)
            done = min(dataset.rows, done + min(CHUNK, rows - first))
            job.progress(done, dataset.rows, "rows", "embedding")
    return [file for file in files if len(store.read_chunk(file))]


def _chunk(
    job: JobContext, dataset: DatasetRecord, encoder: Encoder, cut: Cutter, known: Known, place: tuple[str, int], columns: list[str], file: Path, done: int
) -> None:  # fmt: skip
    split, first = place
    rows = min(CHUNK, dataset.splits[split] - first)
    found = list(passages(dataset, split, first, window(dataset, split, first, CHUNK), columns, cut))

    def each(count: int) -> None:
        job.check()
        job.progress(done + count * rows // max(1, len(found)), dataset.rows, "rows", "embedding")

    store.write_chunk(file, found, _vectors(encoder, found, known, each))


def _vectors(encoder: Encoder, found: list[Passage], known: Known, each: Any) -> Any:
    """A vector for each passage: its fields' vectors by their weights, of length 1."""
    import numpy as np

    vectors = np.zeros((len(found), encoder.dimension), dtype=np.float32)
    new = []
    for number, passage in enumerate(found):
        old = known.vector(list(passage.fields))
        if old is None:
            new.append(number)
        else:
            vectors[number] = old
    parts = [(number, text, weight) for number in new for text, weight in found[number].fields]
    encoded = encoder.documents([text for _, text, _ in parts], each)
    for (number, _, weight), vector in zip(parts, encoded, strict=True):
        vectors[number] += vector * np.float32(weight)
    if any(len(found[number].fields) > 1 for number in new):
        vectors[new] /= np.maximum(np.linalg.norm(vectors[new], axis=1, keepdims=True), 1e-12)
    return vectors


def _finish(job: JobContext, folder: Path, files: list[Path], encoder: Encoder, way: str) -> int:
    """The chunks as one index. What stands half-made from an earlier attempt is made again."""
    shutil.rmtree(folder / store.LISTS, ignore_errors=True)
    count, splits = store.merge(files, folder, encoder.dimension)
    job.check()
    if count >= lists.FROM:
        job.progress(count, count, "passages", "sorting the vectors")
        lists.write(folder / store.LISTS, folder / store.VECTORS, job.check)
    temporary = folder / f".{store.WORDS}"
    shutil.rmtree(temporary, ignore_errors=True)
    words.write(temporary, _heard(job, folder))
    replace_folder(temporary, folder / store.WORDS)
    store.write_facts(folder, way=way, splits=splits, passages=count, plain=encoder.plain is not None)
    return count


def _heard(job: JobContext, folder: Path) -> Any:
    for number, found in enumerate(store.fields(folder)):
        if number % 1000 == 0:
            job.check()
        yield found
