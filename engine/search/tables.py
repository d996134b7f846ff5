"""The far side of the reader: open indexes and their encoder. It imports no torch where the encoder needs none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.search import bert, candidates, marks
from engine.search.fusion import fused
from engine.search.store import Files

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.search.candidates import Pool

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
        vector = self._encoder(files).encode([query], "query")[0] if mode != "lexical" else None
        terms = files.words.weights(query)
        # A condition is exact: whatever it leaves is compared in full.
        if allowed is None and vector is not None and (pool := candidates.nearby(files, vector, lexical, count)) is not None:
            places = pool.best(files, count)
            if len(places) == count:
                return _found(files, pool, places, terms)
        pool = candidates.everything(files, vector, lexical)
        if allowed is not None:
            pool = pool.without(~allowed)
        return _found(files, pool, pool.best(files, count, 0.0 if mode == "lexical" else candidates.OUT), terms)

    def similar(
        self, folder: str, split: str, row: int, count: int, cancel: CancelToken, where: str = "", dataset: Found | None = None  # noqa: ARG002
    ) -> list[Found]:  # fmt: skip
        """The rows nearest to a row, without that row. Raises ``DataError`` when it is not indexed."""
        files = self._files(folder)
        own = (files.row == row) & (files.split == (files.splits.index(split) if split in files.splits else -1))
        if not own.any():
            raise DataError(
                f"Row {split}/{row} is not in the index.", "There is no such row, it has no text, or it came after the index: index it again."
            )
        allowed = self._allowed(files, where, dataset)
        middle = files.vector(own).mean(0)
        middle /= max(float((middle @ middle) ** 0.5), 1e-12)
        if allowed is None and (pool := candidates.nearby(files, middle, None, count)) is not None:
            places = pool.without(own).best(files, count)
            if len(places) == count:
                return _found(files, pool, places, {})
        pool = candidates.everything(files, middle, None).without(own if allowed is None else own | ~allowed)
        return _found(files, pool, pool.best(files, count), {})

    def rank(self, folder: str, query: str, texts: list[str], cancel: CancelToken) -> list[float]:  # noqa: ARG002
        """The cosine of each text with the query."""
        if not texts:
            return []
        encoder = self._encoder(self._files(folder))
        return [float(value) for value in encoder.encode(texts, "document") @ encoder.encode([query], "query")[0]]

    def sentences(self, folder: str, query: str, texts: list[str], mode: str, cancel: CancelToken) -> list[marks.Span | None]:
        """Where the best sentence of each text stands, by meaning and by words as ``mode`` says; None for a text of one
        sentence, in which there is nothing to choose."""
        import numpy as np

        files = self._files(folder)
        terms = files.words.weights(query)
        groups = [marks.worths(text, terms) for text in texts]
        pieces = [text[start:end] for text, group in zip(texts, groups, strict=True) if len(group) > 1 for (start, end), _ in group]
        if not pieces:
            return [None] * len(texts)
        cancel.check()
        encoder = self._encoder(files)
        cosines = iter(encoder.encode(pieces, "document") @ encoder.encode([query], "query")[0])
        found: list[marks.Span | None] = []
        for text, group in zip(texts, groups, strict=True):
            if len(group) < 2:
                found.append(None)
                continue
            meaning = np.array([next(cosines) for _ in group], np.float32)
            scores = fused(meaning, np.array([worth for _, worth in group], np.float32) if mode == "hybrid" else None)
            found.append(marks.narrowed(text, group[int(scores.argmax())][0], terms))
        return found

    def rerank(self, model: str, query: str, texts: list[str], cancel: CancelToken) -> list[float]:  # noqa: ARG002
        """How well each text answers the query, by a cross-encoder. Raises ``ModelError``."""
        from engine.search.rerank import Reranker

        # A reranker trained again under its name stands in a new folder.
        key = f"{model} {Path(model).stat().st_mtime_ns}"
        if key not in self._rerankers:
            self._rerankers[key] = Reranker(Path(model), self._threads)
        found: list[float] = self._rerankers[key].scores(query, texts)
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


def _found(files: Files, pool: Pool, places: list[int], terms: dict[str, float]) -> list[Found]:
    found = []
    for place in places:
        number = int(pool.numbers[place])
        split, row = files.key(number)
        text = files.text(number)
        found.append({
            "split": split, "row": row, "piece": int(files.piece[number]), "text": text, "score": float(pool.scores[place]),
            "cosine": None if pool.dense is None else float(pool.dense[place]),
            "spans": marks.marked(text, terms), "best": marks.best_sentence(text, terms),
        })  # fmt: skip
    return found
