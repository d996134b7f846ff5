"""The near side: names to folders, and rows back as hits with addresses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError, NotFound
from engine.jobs.host import Host
from engine.models.load import resolve
from engine.search.store import is_whole

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.store.indexes import IndexRecord
    from engine.store.workspace import Workspace

RERANKED = 30
"""Rows that a reranker reads, at least."""

POINTED = 3
"""Hits whose sentences are compared with the question by meaning: a dozen sentences, about a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found. ``score`` orders the hits of one search; ``cosine`` is None in a search by words alone.
    ``spans`` are where the query's words stand in ``text``; ``best`` is the sentence that
    answers best: by the words it holds, and of the first few hits by its meaning too (:meth:`Reader.pointed`)."""

    address: str
    dataset: str
    split: str
    row: int
    text: str
    score: float
    cosine: float | None
    spans: list[tuple[int, int]] = field(default_factory=list)
    best: tuple[int, int] | None = None


class Reader:
    """Searches indexed datasets; the encoder and the tables stay warm in a helper process. Thread-safe."""

    def __init__(self, workspace: Workspace, *, hosted: bool) -> None:
        self._workspace, self._hosted = workspace, hosted
        self._hosts: dict[str, Host] = {}

    def search(
        self, dataset: str, query: str, k: int = 10, mode: str = "hybrid", cancel: CancelToken | None = None, *, where: str = "", rerank: str = ""
    ) -> list[Hit]:  # fmt: skip
        """The ``k`` best rows, best first. ``mode``: dense, lexical, hybrid. ``where``: a SQL condition over the
        dataset's columns, kept before anything is ranked. ``rerank``: a cross-encoder that orders the best anew.

        Raises ``NotFound`` with no index; ``DataError`` for a condition that can't be read, or one over
        data that changed since it was indexed.
        """
        index = self.index(dataset)
        host = self._host(index.encoder)
        wanted = max(k, RERANKED) if rerank else k
        found = host.call("search", cancel, folder=index.folder, query=query, count=wanted, mode=mode, **self._filter(dataset, where))
        hits = _hits(dataset, found)
        if not rerank:
            return hits
        folder, _ = resolve(self._workspace, self._workspace.models.get(rerank))
        scores = host.call("rerank", cancel, model=str(folder), query=query, texts=[hit.text for hit in hits])
        order = sorted(zip(scores, hits, strict=True), key=lambda pair: -pair[0])
        return [replace(hit, score=score) for score, hit in order[:k]]

    def pointed(self, dataset: str, query: str, hits: list[Hit], mode: str, cancel: CancelToken | None = None) -> list[Hit]:
        """The same hits, the best sentence of the first few chosen by meaning too: their sentences are encoded.
        A search by words alone stays as it is, and needs no encoder."""
        if mode == "lexical" or not hits:
            return hits
        index = self.index(dataset)
        texts = [hit.text for hit in hits[:POINTED]]
        found = self._host(index.encoder).call("sentences", cancel, folder=index.folder, query=query, texts=texts, mode=mode)
        return [replace(hit, best=(best[0], best[1])) if best else hit for hit, best in zip(hits, found, strict=False)] + hits[POINTED:]

    def similar(self, dataset: str, split: str, row: int, k: int = 10, *, where: str = "") -> list[Hit]:
        """The ``k`` rows nearest in meaning to a row. Raises ``NotFound``, ``DataError``; with ``where`` as :meth:`search`."""
        index = self.index(dataset)
        host = self._host(index.encoder)
        return _hits(dataset, host.call("similar", folder=index.folder, split=split, row=row, count=k, **self._filter(dataset, where)))

    def rank(self, dataset: str, query: str, texts: list[str]) -> list[float]:
        """The cosine of each text with the query, by the encoder of the dataset's index."""
        index = self.index(dataset)
        found: list[float] = self._host(index.encoder).call("rank", folder=index.folder, query=query, texts=texts)
        return found

    def index(self, dataset: str) -> IndexRecord:
        """Raises ``NotFound`` for a dataset that is not there or has no index."""
        record = self._workspace.datasets.get(dataset)
        found = self._workspace.indexes.find(dataset)
        if found is None:
            raise NotFound(f"“{record.name}” has no index yet.", f"Build it: index {record.name}")
        if not is_whole(Path(found.folder)):
            raise NotFound(f"The index of “{record.name}” is damaged, or of an earlier version.", f"Build it again: index {record.name}")
        encoder = self._workspace.models.find(found.encoder)
        if encoder and "job" in encoder.facts and encoder.created > found.created:
            raise NotFound(
                f"“{record.name}” was indexed by another “{encoder.name}”: it was trained again since.", f"Build it again: index {record.name}"
            )
        return found

    def stale(self, dataset: str) -> bool:
        """Whether the data changed after its index was built."""
        return self.index(dataset).fingerprint != self._workspace.datasets.get(dataset).fingerprint

    def _filter(self, dataset: str, where: str) -> dict[str, Any]:
        if not where.strip():
            return {}
        if self.stale(dataset):
            raise DataError(
                f"“{dataset}” changed after its index was built, so --where would pick the wrong rows.", f"Bring it up to date: index {dataset}"
            )
        return {"where": where, "dataset": asdict(self._workspace.datasets.get(dataset))}

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()

    def _host(self, encoder: str) -> Host:
        model = self._workspace.models.get(encoder)
        # An encoder trained again under its name is another.
        key = f"{encoder} {model.created}"
        if key not in self._hosts:
            folder, _ = resolve(self._workspace, model)
            settings = self._workspace.settings
            inside = not self._hosted or settings.runner == "thread"
            config = {"encoder": str(folder), "threads": settings.threads}
            self._hosts[key] = Host("engine.search.tables:Tables", config, self._workspace.paths.logs / "reader.log", inside=inside)
        return self._hosts[key]


def _hits(dataset: str, found: list[dict[str, Any]]) -> list[Hit]:
    return [
        Hit(
            f"{dataset}/{item['split']}/{item['row']}", dataset, item["split"], item["row"], item["text"], item["score"], item["cosine"],
            [(start, end) for start, end in item["spans"]], (item["best"][0], item["best"][1]) if item["best"] else None,
        )
        for item in found
    ]  # fmt: skip
