"""The map of a dataset: every row a point, near to what it is like; clusters, named by the words that tell them apart."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import DataError, NotFound
from engine.quality import kept, layout
from engine.quality.corpus import Corpus
from engine.search.vectors import load

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

Method = Literal["pca", "umap"]
DIMENSIONS = 48
"""Directions kept for clusters (and for UMAP): what is beyond them is mostly noise, and costs time."""
MOST_CLUSTERS = 30
SEED = 7
WORD = r"(?u)\b[^\W\d_][\w'-]+\b"


@dataclass(frozen=True, slots=True)
class Atlas:
    """Point ``i`` stands at ``x[i]``, ``y[i]`` (0 to 1) for row ``row[i]`` of ``splits[split[i]]``; it is in cluster
    ``cluster[i]``, called ``names[…]``, and has label ``labels[label[i]]`` (-1: none). ``by`` is meaning or words."""

    dataset: str
    fingerprint: str
    method: Method
    by: str
    rows: int
    x: Any
    y: Any
    split: Any
    row: Any
    cluster: Any
    label: Any
    splits: list[str]
    names: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.x)

    def sizes(self) -> list[int]:
        """Rows in each cluster."""
        import numpy as np

        return [int(count) for count in np.bincount(self.cluster, minlength=len(self.names))]


ARRAYS = ("x", "y", "split", "row", "cluster", "label")


def place(workspace: Workspace, record: DatasetRecord, method: Method, most: int) -> Path:
    index = workspace.indexes.find(record.name)
    by = [index.folder, index.created] if index and index.fingerprint == record.fingerprint else None
    return kept.path_of(workspace, record.name, "map", [record.name, record.fingerprint, record.columns, by, method, most], ".npz")


def draw(job: JobContext, record: DatasetRecord, method: Method, most: int) -> Atlas:
    """The map of at most ``most`` rows; kept, and served again. Raises ``DataError``, ``Stopped``."""
    path = place(job.workspace, record, method, most)
    if found := read(path):
        return found
    rows, matrix, texts, labels, by = _material(job, record, most)
    job.progress(1, 4, "steps", "finding the directions")
    directions = project(matrix, min(DIMENSIONS, matrix.shape[1], len(matrix)))
    job.check()
    job.progress(2, 4, "steps", "gathering clusters")
    cluster = gather(directions, clusters_for(len(matrix)))
    names = told_apart(texts, cluster)
    job.check()
    job.progress(3, 4, "steps", "laying out the map")
    points = layout.umap(job, directions, SEED) if method == "umap" else directions[:, :2]
    atlas = _atlas(record, method, by, rows, points, cluster, names, labels)
    job.check()
    write(job.workspace, path, atlas)
    job.progress(4, 4, "steps", "laying out the map")
    return atlas


def _material(job: JobContext, record: DatasetRecord, most: int) -> tuple[list[tuple[str, int]], Any, list[str], list[str], str]:
    """The rows, a vector and the text of each, its label, and what the vectors are of. By words where there is no index."""
    import numpy as np

    corpus = Corpus.of(record, None)
    read: list[str] = []
    corpus.read(job, lambda batch: read.extend(text[:2000] for text in batch.texts))
    numbers = {side.split: start for side, start in zip(corpus.sides, corpus.starts[:-1], strict=True)}
    try:
        vectors = load(job.workspace, record.name)
        chosen, matrix, by = np.asarray([numbers[split] + row for split, row in vectors.addresses], np.int64), vectors.matrix, "meaning"
    except NotFound:
        chosen, matrix, by = np.flatnonzero(corpus.digest), None, "words"
    if len(chosen) < 3:
        raise DataError(f"“{record.name}” has fewer than three rows of text: there is nothing to map.", "Add more rows.")
    if len(chosen) > most:
        keep = np.sort(np.random.default_rng(SEED).choice(len(chosen), most, replace=False))
        chosen, matrix = chosen[keep], None if matrix is None else matrix[keep]
    texts = [read[number] for number in chosen]
    labels = [corpus.label_of(number) for number in chosen]
    return [corpus.place(number) for number in chosen], by_words(job, texts) if matrix is None else matrix, texts, labels, by


def by_words(job: JobContext, texts: list[str]) -> Any:
    """A vector for each text from the words in it (TF-IDF, and the directions in which it varies most)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    job.progress(0, 4, "steps", "counting words")
    try:
        counted = TfidfVectorizer(sublinear_tf=True, max_features=50_000, min_df=2 if len(texts) > 50 else 1).fit_transform(texts)
    except ValueError:
        raise DataError("The rows have no words in common to map them by.", "Make an index, and the map is drawn by meaning: index NAME") from None
    wanted = min(DIMENSIONS, counted.shape[1] - 1, counted.shape[0] - 1)
    if wanted < 2:
        raise DataError("The rows have too few words to map them by.", "Make an index, and the map is drawn by meaning: index NAME")
    return TruncatedSVD(wanted, random_state=SEED).fit_transform(counted)


def project(matrix: Any, count: int) -> Any:
    """The rows along the ``count`` directions in which they vary most (PCA), the same way round every time."""
    import numpy as np

    centred = matrix - matrix.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :count]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    return (centred @ axes).astype(np.float32)


def clusters_for(rows: int) -> int:
    """How many clusters so many rows are gathered into."""
    return max(2, min(MOST_CLUSTERS, rows // 2, round(math.sqrt(rows / 20))))


def gather(directions: Any, count: int) -> Any:
    """A cluster for each row, the largest first."""
    import numpy as np
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(count, random_state=SEED, n_init=3, batch_size=4096).fit_predict(directions)
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    return np.argsort(order)[found].astype(np.int32)


def told_apart(texts: list[str], cluster: Any) -> list[str]:
    """A name for each cluster: the words that are common in it and rare elsewhere (class-based TF-IDF)."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    groups = int(cluster.max()) + 1
    try:
        counter = CountVectorizer(stop_words="english", token_pattern=WORD, max_features=30_000)
        counted = counter.fit_transform(texts)
    except ValueError:
        return [f"cluster {number + 1}" for number in range(groups)]
    words = counter.get_feature_names_out()
    counts = np.stack([np.asarray(counted[np.flatnonzero(cluster == number)].sum(0)).ravel() for number in range(groups)]).astype(float)
    weights = counts / np.maximum(counts.sum(1, keepdims=True), 1) * np.log1p(counts.sum() / groups / np.maximum(counts.sum(0), 1))
    names = []
    for number in range(groups):
        best = [str(words[at]) for at in np.argsort(-weights[number], kind="stable")[:3] if weights[number, at] > 0]
        names.append(", ".join(best) or f"cluster {number + 1}")
    return names


def _atlas(
    record: DatasetRecord, method: Method, by: str, rows: list[tuple[str, int]], points: Any, cluster: Any, names: list[str], labels: list[str]
) -> Atlas:
    import numpy as np

    splits = list(record.splits)
    known = sorted({label for label in labels if label})
    numbers = {label: number for number, label in enumerate(known)}
    low, high = points.min(0), points.max(0)
    scaled = (points - low) / np.maximum(high - low, 1e-9)
    return Atlas(
        record.name, record.fingerprint, method, by, record.rows,
        scaled[:, 0].astype(np.float32), scaled[:, 1].astype(np.float32),
        np.asarray([splits.index(split) for split, _ in rows], np.int16), np.asarray([row for _, row in rows], np.int64),
        cluster, np.asarray([numbers.get(label, -1) for label in labels], np.int32), splits, names, known,
    )  # fmt: skip


def write(workspace: Workspace, path: Path, atlas: Atlas) -> None:
    """Put the map where it belongs, whole or not at all."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    told = {name: getattr(atlas, name) for name in Atlas.__dataclass_fields__ if name not in ARRAYS}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".map-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, told=np.asarray(json.dumps(told)), **{name: getattr(atlas, name) for name in ARRAYS})
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for old in kept.newest(workspace, atlas.dataset, "map", ".npz")[kept.KEEP :]:
        old.unlink(missing_ok=True)


def read(path: Path) -> Atlas | None:
    """The map in a file, the newest from now on; none for a file that is not there or not readable."""
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            found = Atlas(**json.loads(str(stored["told"])), **{name: stored[name] for name in ARRAYS})
        os.utime(path)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return found


def last(workspace: Workspace, dataset: str) -> Atlas | None:
    """The map of a dataset that was drawn or asked for last."""
    return next((atlas for path in kept.newest(workspace, dataset, "map", ".npz") if (atlas := read(path))), None)
