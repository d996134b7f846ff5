"""The task of an encoder or a reranker: what it puts first for a query, out of a whole corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data import pairs
from engine.data.rows import load_split
from engine.data.shape import as_text
from engine.errors import DataError, NotFound
from engine.evaluation import ranking
from engine.models.load import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.datasets import DatasetRecord

SHAPES = (*pairs.SHAPES, "instruction", "text")
READ = 50
"""Passages that a reranker reads anew: the best of its encoder's."""
SHOWN = 10
"""Places of a ranking that a prediction keeps."""
IDS = ("_id", "id", "docid", "doc_id", "pid", "qid", "corpus-id", "query-id")
JUDGED = {
    "query": ("query-id", "query_id", "qid", "query"), "passage": ("corpus-id", "corpus_id", "docid", "doc_id", "pid", "passage", "document"),
    "score": ("score", "relevance", "rel", "label"),
}  # fmt: skip
"""Names of the columns of judgements."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Passages by name, and for each query's name the gains of what was judged."""

    names: list[str]
    texts: list[str]
    judged: dict[str, dict[str, float]]


def make(asked: Asked) -> Retrieval:
    """Raises ``BitternError``."""
    workspace, options = asked.job.workspace, asked.spec.options
    model = workspace.models.get(asked.spec.model)
    judging = "corpus" in options
    corpus = judged(asked.job, options) if judging else own(asked.dataset, asked.rows)
    encoder = asked.folder if model.kind == "encoder" else resolve(workspace, workspace.models.get(options["encoder"]))[0]
    reads = [column for column in options.get("columns", "").split(",") if column]
    return Retrieval(asked.job, asked.dataset, corpus, encoder, None if model.kind == "encoder" else asked.folder, judging=judging, columns=reads)


class Retrieval:
    """Every passage of the corpus, by its cosine with the query; the first ``READ`` of them by the reranker, where there is one.

    Predictions: query, ranked (the names of the first ten), relevant, and the figures of ``ranking.KEYS``. What a query's
    row belongs to is said by judgements, or is the row's own positive, looked for among all positives of the split.
    """

    def __init__(
        self, job: JobContext, record: DatasetRecord, corpus: Corpus, encoder: Path, reranker: Path | None, *, judging: bool, columns: list[str]
    ) -> None:
        """Raises ``ModelError``."""
        from engine.search.encoder import Encoder

        self._job, self._record, self._corpus, self._judging, self._columns = job, record, corpus, judging, columns
        self._encoder = Encoder(encoder, job.workspace.settings.threads)
        self._reranker: Any = None
        if reranker is not None:
            from engine.search.rerank import Reranker

            self._reranker = Reranker(reranker, job.workspace.settings.threads)
        self._vectors: Any = None

    def usable(self, row: dict[str, Any]) -> bool:
        name, text = self._query(row)
        return bool(text) and any(gain > 0 for gain in self._corpus.judged.get(name, {}).values())

    def length(self, row: dict[str, Any]) -> int:
        return len(self._query(row)[1])

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:
        import numpy as np

        queries = [self._query(row) for row in rows]
        cosines = self._encoder.encode([text for _, text in queries], "query") @ self._passages().T
        found = []
        for (name, text), scores in zip(queries, cosines, strict=True):
            if token.asked:
                return []
            order = np.argsort(-scores, kind="stable")[: ranking.DEEP].tolist()
            if self._reranker is not None:
                read = self._reranker.scores(text, [self._corpus.texts[at] for at in order[:READ]])
                order = [order[at] for at in np.argsort(-np.array(read), kind="stable")] + order[READ:]
            ranked = [self._corpus.names[at] for at in order]
            judged = self._corpus.judged[name]
            kept = {"query": text, "ranked": ranked[:SHOWN], "relevant": sorted(one for one, gain in judged.items() if gain > 0)[:SHOWN]}
            found.append({**kept, **{key: round(value, 6) for key, value in ranking.of_query(ranked, judged).items()}})
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return ranking.over_queries(predictions)

    def _query(self, row: dict[str, Any]) -> tuple[str, str]:
        if self._judging:
            return str(row.get(_column(self._record, IDS, "an id")) or ""), as_text(self._record, row, self._columns or None).strip()
        pair = pairs.of_row(self._record, row)
        return (pair.anchor, pair.anchor) if pair else ("", "")

    def _passages(self) -> Any:
        """The corpus as vectors of length 1, float32, encoded when it is first wanted. Raises ``Stopped``."""
        if self._vectors is None:
            total = len(self._corpus.texts)

            def each(done: int) -> None:
                self._job.check()
                self._job.progress(done, total, "passage", "embedding the corpus")

            self._vectors = self._encoder.documents(self._corpus.texts, each)
        return self._vectors


def own(record: DatasetRecord, rows: Iterable[dict[str, Any]]) -> Corpus:
    """Of pairs: all that belongs to some anchor is the corpus, and each anchor's own is what it should find."""
    passages: dict[str, None] = {}
    judged: dict[str, dict[str, float]] = {}
    for row in rows:
        if (pair := pairs.of_row(record, row)) is None:
            continue
        passages[pair.positive] = None
        if pair.negative:
            passages[pair.negative] = None
        judged.setdefault(pair.anchor, {})[pair.positive] = 1.0 if pair.score is None else pair.score
    return Corpus(list(passages), list(passages), judged)


def check(queries: DatasetRecord, corpus: DatasetRecord, qrels: DatasetRecord) -> None:
    """Raises ``NotFound`` where ids are missing."""
    for record in (queries, corpus):
        _column(record, IDS, "an id")
    for role in ("query", "passage"):
        _column(qrels, JUDGED[role], f"the id of a {role}")


def judged(job: JobContext, options: dict[str, str]) -> Corpus:
    """A corpus and its judgements from the datasets that ``options`` name. Raises ``BitternError``."""
    record, marks = job.workspace.datasets.get(options["corpus"]), job.workspace.datasets.get(options["qrels"])
    identity = _column(record, IDS, "an id")
    own_text = record.columns.get("text", "")
    columns = ["title", own_text] if "title" in record.features and own_text not in ("", "title") else None
    names, texts = [], []
    for split in record.splits:
        for number, row in enumerate(load_split(record, split)):
            if number % 256 == 0:
                job.check()
            names.append(str(row[identity]))
            texts.append(as_text(record, row, columns).strip())
    query, passage = (_column(marks, JUDGED[role], f"the id of a {role}") for role in ("query", "passage"))
    score = next((name for name in JUDGED["score"] if name in marks.features), "")
    found: dict[str, dict[str, float]] = {}
    for split in marks.splits:
        for row in load_split(marks, split):
            found.setdefault(str(row[query]), {})[str(row[passage])] = float(row[score]) if score else 1.0
    known = set(names)
    if not any(name in known for gains in found.values() for name in gains):
        raise DataError(f"No id in “{marks.name}” is one of “{record.name}”.", f"Look at both: show {marks.name}; show {record.name}")
    return Corpus(names, texts, found)


def _column(record: DatasetRecord, names: Sequence[str], what: str) -> str:
    """The first of these columns that a dataset has. Raises ``NotFound``."""
    found = next((name for name in names if name in record.features), "")
    if not found:
        raise NotFound(f"“{record.name}” has no column with {what}.", f"Call it {names[0]}: rename {record.name} COLUMN {names[0]}")
    return found
