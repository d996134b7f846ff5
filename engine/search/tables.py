"""The far side of the reader: open indexes and their encoder. It imports no torch where the encoder needs none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.search import bert, marks
from engine.search.fusion import fused
from engine.search.store import Files

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken

DEPTH = 50
"""Passages looked at, at least, for the rows that they belong to."""
Found = dict[str, Any]


class Tables:
    """Dense, lexical and hybrid search over finished indexes."""

    def __init__(self, encoder: str, threads: int) -> None:
        import numpy  # noqa: F401 — a limit reaches only libraries that are loaded
        from threadpoolctl import threadpool_limits

        self._folder, self._threads = Path(encoder), threads
        self._encoders: dict[bool, Any] = {}
        self._open: dict[str, Files] = {}
        self._rerankers: dict[str, Any] = {}
        # OpenBLAS's threads spin while they wait: beside another busy process a question took 100 times as long.
        threadpool_limits(1, user_api="blas")

    def search(
        self, folder: str, query: str, count: int, mode: str, cancel: CancelToken, where: str = "", dataset: Found | None = None
    ) -> list[Found]:  # fmt: skip
        """The best rows: ``split``, ``row``, ``piece``, ``text``, ``score``, ``cosine`` (None in a lexical search),
        ``spans``, ``best``. Raises ``DataError`` for a ``where`` that can't be read."""
        files = self._files(folder)
        allowed = self._allowed(files, where, dataset)
        lexical = files.words.scores(query) if mode != "dense" else None
        cancel.check()
        dense = files.vectors @ self._encoder(files).encode([query], "query")[0] if mode != "lexical" else None
        scores = fused(dense, lexical)
        if allowed is not None:
            scores[~allowed] = -2.0
        terms = files.words.weights(query)
        found = [number for number in best_rows(files, scores, count) if scores[number] > (0.0 if mode == "lexical" else -2.0)]
        return [_found(files, number, float(scores[number]), dense, terms) for number in found]

    def similar(
        self, folder: str, split: str, row: int, count: int, cancel: CancelToken, where: str = "", dataset: Found | None = None  # noqa: ARG002
    ) -> list[Found]:  # fmt: skip
        """The rows nearest to a row, without that row. Raises ``DataError`` when it is not indexed."""
        files = self._files(folder)
        own = (files.row == row) & (files.split == (files.splits.index(split) if split in files.splits else -1))
        if not own.any():
            raise DataError(f"Row {split}/{row} is not in the index.", "It has no text, or the index is older than the data: index it again.")
        allowed = self._allowed(files, where, dataset)
        middle = files.vectors[own].mean(0)
        dense = files.vectors @ (middle / max(float((middle @ middle) ** 0.5), 1e-12))
        scores = dense.copy()
        scores[own if allowed is None else own | ~allowed] = -2.0
        return [_found(files, number, float(scores[number]), dense, {}) for number in best_rows(files, scores, count) if scores[number] > -2.0]

    def rank(self, folder: str, query: str, texts: list[str], cancel: CancelToken) -> list[float]:  # noqa: ARG002
        """The cosine of each text with the query."""
        if not texts:
            return []
        encoder = self._encoder(self._files(folder))
        return [float(value) for value in encoder.encode(texts, "document") @ encoder.encode([query], "query")[0]]

    def rerank(self, model: str, query: str, texts: list[str], cancel: CancelToken) -> list[float]:  # noqa: ARG002
        """How well each text answers the query, by a cross-encoder. Raises ``ModelError``."""
        from engine.search.rerank import Reranker

        if model not in self._rerankers:
            self._rerankers[model] = Reranker(Path(model), self._threads)
        found: list[float] = self._rerankers[model].scores(query, texts)
        return found

    def _files(self, folder: str) -> Files:
        if folder not in self._open:
            self._open = {name: files for name, files in self._open.items() if Path(name).is_dir()}
            self._open[folder] = Files(Path(folder))
        return self._open[folder]

    def _encoder(self, files: Files) -> Any:
        """What has ``encode``: without torch where the index found that to give the same vectors."""
        plain = bool(files.facts["plain"])
        if plain not in self._encoders:
            found: Any = bert.read(self._folder) if plain else None
            if found is None:
                from engine.search.encoder import Encoder

                found = Encoder(self._folder, self._threads)
            self._encoders[plain] = found
        return self._encoders[plain]

    def _allowed(self, files: Files, where: str, dataset: Found | None) -> Any:
        """Which passages a condition lets through; None for all of them."""
        if not where or dataset is None:
            return None
        import numpy as np

        from engine.search.where import rows_where

        found = rows_where(dataset, where)
        allowed = np.zeros(len(files), dtype=bool)
        for number, split in enumerate(files.splits):
            own = files.split == number
            allowed[own] = np.isin(files.row[own], found.get(split, np.zeros(0, np.int64)))
        return allowed


def best_rows(files: Files, scores: Any, count: int) -> list[int]:
    """The numbers of the best passage of each of the ``count`` best rows, best first; of equals, the first in the data."""
    import numpy as np

    depth = max(DEPTH, 3 * count)
    while True:
        if depth < len(scores):
            edge = scores[np.argpartition(scores, -depth)[-depth:]].min()
            numbers = np.flatnonzero(scores >= edge) if edge > 0 else np.argpartition(scores, -depth)[-depth:]
        else:
            numbers = np.arange(len(scores))
        numbers = numbers[np.lexsort((numbers, -scores[numbers]))]
        best: dict[tuple[int, int], int] = {}
        for number in numbers.tolist():
            best.setdefault((int(files.split[number]), int(files.row[number])), number)
            if len(best) == count:
                return list(best.values())
        if depth >= len(scores):
            return list(best.values())
        depth *= 4


def _found(files: Files, number: int, score: float, dense: Any, terms: dict[str, float]) -> Found:
    split, row = files.key(number)
    text = files.text(number)
    return {
        "split": split, "row": row, "piece": int(files.piece[number]), "text": text, "score": score,
        "cosine": None if dense is None else float(dense[number]), "spans": marks.marked(text, terms), "best": marks.best_sentence(text, terms),
    }  # fmt: skip
