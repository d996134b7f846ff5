"""What the screen knows of datasets and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class DatasetView:
    name: str
    source: str
    splits: dict[str, int]
    features: dict[str, str]
    shape: str
    columns: dict[str, str]
    bytes: int
    note: str = ""
    fingerprint: str = ""

    @property
    def rows(self) -> int:
        return sum(self.splits.values())


@dataclass(slots=True)
class ModelView:
    name: str
    kind: str
    source: str
    bytes: int
    base: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    revision: str = ""

    @property
    def talks(self) -> bool:
        """Whether one can chat with it."""
        return self.kind in ("chat", "adapter", "seq2seq", "endpoint")

    def lines(self) -> list[tuple[str, str]]:
        """Its facts, as a person reads them."""
        found = [("kind", self.kind), ("from", self.source), ("size", size(self.bytes))]
        if self.revision:
            found.insert(2, ("revision", self.revision))
        if self.base:
            found.insert(1, ("base", self.base))
        for name, value in self.facts.items():
            text = ", ".join(str(part) for part in value[:12]) + (" …" if len(value) > 12 else "") if isinstance(value, list) else str(value)
            found.append((name.replace("_", " "), text))
        return found


@dataclass(slots=True)
class CatalogState:
    """``dataset``, ``model`` and ``session`` are the names in use, or empty."""

    datasets: list[DatasetView] = field(default_factory=list)
    models: list[ModelView] = field(default_factory=list)
    dataset: str = ""
    model: str = ""
    session: str = ""
    memory: dict[str, int] = field(default_factory=dict)
    """Bytes of each base that is loaded, by its name."""
    guide: bool = False
    """Whether Bittern's own guide can be asked."""

    def load(self, datasets: Iterable[Any], models: Iterable[Any], dataset: str, model: str, session: str) -> None:
        """Take the engine's records."""
        self.datasets = [DatasetView(r.name, r.source, r.splits, r.features, r.shape, r.columns, r.bytes, r.note, r.fingerprint) for r in datasets]
        self.models = [ModelView(r.name, r.kind, r.source, r.bytes, r.base, r.facts, r.revision) for r in models]
        self.dataset, self.model, self.session = dataset, model, session

    def find_dataset(self, name: str) -> DatasetView | None:
        return next((item for item in self.datasets if item.name == name), None)

    def find_model(self, name: str) -> ModelView | None:
        return next((item for item in self.models if item.name == name), None)

    @property
    def ready(self) -> bool:
        """Whether a question about Bittern can be answered: there is a model to talk, and the guide is indexed."""
        return any(model.talks for model in self.models) and self.guide


def size(count: float) -> str:
    """Bytes in words: 98 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def count(number: int) -> str:
    """Rows in a narrow place: 640, 10.0k, 2.1M."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
