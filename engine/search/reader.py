"""The near side: names to folders, and rows back as hits with addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.jobs.host import Host
from engine.models.load import resolve

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.store.indexes import IndexRecord
    from engine.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found. ``score`` orders the hits of one search; ``cosine`` is None where only words matched."""

    address: str
    dataset: str
    split: str
    row: int
    text: str
    score: float
    cosine: float | None


class Reader:
    """Searches indexed datasets; the encoder and the tables stay warm in a helper process. Thread-safe."""

    def __init__(self, workspace: Workspace, *, hosted: bool) -> None:
        self._workspace, self._hosted = workspace, hosted
        self._hosts: dict[str, Host] = {}

    def search(self, dataset: str, query: str, k: int = 10, mode: str = "hybrid", cancel: CancelToken | None = None) -> list[Hit]:
        """The ``k`` best rows, best first. ``mode``: dense, lexical, hybrid. Raises ``NotFound`` with no index."""
        index = self.index(dataset)
        return _hits(dataset, self._host(index.encoder).call("search", cancel, folder=index.folder, query=query, count=k, mode=mode))

    def similar(self, dataset: str, split: str, row: int, k: int = 10) -> list[Hit]:
        """The ``k`` rows nearest in meaning to a row. Raises ``NotFound``, ``DataError``."""
        index = self.index(dataset)
        return _hits(dataset, self._host(index.encoder).call("similar", folder=index.folder, split=split, row=row, count=k))

    def rank(self, dataset: str, query: str, texts: list[str]) -> list[float]:
        """The cosine of each text with the query, by the encoder of the dataset's index."""
        found: list[float] = self._host(self.index(dataset).encoder).call("rank", query=query, texts=texts)
        return found

    def index(self, dataset: str) -> IndexRecord:
        """Raises ``NotFound`` for a dataset that is not there or has no index."""
        record = self._workspace.datasets.get(dataset)
        found = self._workspace.indexes.find(dataset)
        if found is None:
            raise NotFound(f"“{record.name}” has no index yet.", f"Build it: index {record.name}")
        return found

    def stale(self, dataset: str) -> bool:
        """Whether the data changed after its index was built."""
        return self.index(dataset).fingerprint != self._workspace.datasets.get(dataset).fingerprint

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()

    def _host(self, encoder: str) -> Host:
        if encoder not in self._hosts:
            folder, _ = resolve(self._workspace, self._workspace.models.get(encoder))
            settings = self._workspace.settings
            inside = not self._hosted or settings.runner == "thread"
            config = {"encoder": str(folder), "threads": settings.threads}
            self._hosts[encoder] = Host("engine.search.tables:Tables", config, self._workspace.paths.logs / "reader.log", inside=inside)
        return self._hosts[encoder]


def _hits(dataset: str, found: list[dict[str, Any]]) -> list[Hit]:
    return [
        Hit(f"{dataset}/{item['split']}/{item['row']}", dataset, item["split"], item["row"], item["text"], item["score"], item["cosine"])
        for item in found
    ]  # fmt: skip
