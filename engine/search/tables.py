"""The far side of the reader: an encoder and open LanceDB tables, living in a helper process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.search.encoder import Encoder

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken

DEPTH = 50
"""Passages taken from each method before they are fused."""
FUSION = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
Found = dict[str, Any]


class Tables:
    """Dense, lexical and hybrid search over finished indexes."""

    def __init__(self, encoder: str, threads: int) -> None:
        """Raises ``ModelError``."""
        self._encoder = Encoder(Path(encoder), threads)
        self._tables: dict[str, Any] = {}

    def search(self, folder: str, query: str, count: int, mode: str, cancel: CancelToken) -> list[Found]:
        """The best rows: ``split``, ``row``, ``piece``, ``text``, ``score``, ``cosine`` (None when only words matched)."""
        depth = max(DEPTH, 3 * count)
        dense = rows_of(self._dense(folder, self._encoder.query(query), depth)) if mode != "lexical" else []
        cancel.check()
        lexical = rows_of(self._lexical(folder, query, depth)) if mode != "dense" else []
        if mode == "hybrid":
            return fuse(dense, lexical)[:count]
        return (dense or lexical)[:count]

    def similar(self, folder: str, split: str, row: int, count: int, cancel: CancelToken) -> list[Found]:  # noqa: ARG002
        """The rows nearest to a row's first passage, without that row. Raises ``DataError`` when it is not indexed."""
        quoted = split.replace("'", "''")
        own = self._table(folder).search().where(f"split = '{quoted}' AND row = {int(row)} AND piece = 0").limit(1).to_list()
        if not own:
            raise DataError(f"Row {split}/{row} is not in the index.", "It has no text, or the index is older than the data: index it again.")
        found = rows_of(self._dense(folder, own[0]["vector"], DEPTH + count))
        return [item for item in found if (item["split"], item["row"]) != (split, row)][:count]

    def rank(self, query: str, texts: list[str], cancel: CancelToken) -> list[float]:  # noqa: ARG002
        """The cosine of each text with the query."""
        if not texts:
            return []
        return [float(value) for value in self._encoder.documents(texts) @ self._encoder.query(query)]

    def _table(self, folder: str) -> Any:
        if folder not in self._tables:
            import lancedb

            self._tables[folder] = lancedb.connect(folder).open_table("passages")
        return self._tables[folder]

    def _dense(self, folder: str, vector: Any, depth: int) -> list[Found]:
        # Where there is a vector index (large data), the refined distances are exact ones; a flat scan ignores both.
        found = (
            self._table(folder)
            .search(vector, vector_column_name="vector")
            .distance_type("cosine")
            .nprobes(50)
            .refine_factor(10)
            .limit(depth)
            .to_list()
        )
        return [_found(item, 1.0 - item["_distance"], 1.0 - item["_distance"]) for item in found]

    def _lexical(self, folder: str, query: str, depth: int) -> list[Found]:
        from lancedb.query import MatchQuery

        # MatchQuery takes words, not a query language; without a word there is nothing to match.
        if not re.search(r"\w", query):
            return []
        found = self._table(folder).search(MatchQuery(query, "text"), query_type="fts").limit(depth).to_list()
        return [_found(item, item["_score"], None) for item in found]


def _found(item: dict[str, Any], score: float, cosine: float | None) -> Found:
    return {"split": item["split"], "row": item["row"], "piece": item["piece"], "text": item["text"], "score": score, "cosine": cosine}


def rows_of(found: list[Found]) -> list[Found]:
    """One passage for each row: its best."""
    best: dict[tuple[str, int], Found] = {}
    for item in found:
        best.setdefault((item["split"], item["row"]), item)
    return list(best.values())


def fuse(dense: list[Found], lexical: list[Found]) -> list[Found]:
    """Reciprocal rank fusion of two rankings of rows."""
    scores: dict[tuple[str, int], float] = {}
    best: dict[tuple[str, int], Found] = {}
    for ranking in (dense, lexical):
        for place, item in enumerate(ranking, start=1):
            key = (item["split"], item["row"])
            scores[key] = scores.get(key, 0.0) + 1.0 / (FUSION + place)
            best.setdefault(key, item)
    order = sorted(scores, key=lambda key: (-scores[key], key))
    return [{**best[key], "score": scores[key]} for key in order]
