"""The vectors of an indexed dataset, one a row, for whoever compares rows with rows. Imports no encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound

if TYPE_CHECKING:
    from engine.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Vectors:
    """Row ``i`` of ``matrix`` (float32, length 1) stands for the row ``addresses[i]`` (split, row), in the order of the
    data; ``texts[i]`` is the row's first passage. Rows without text are not there."""

    addresses: list[tuple[str, int]]
    matrix: Any
    texts: list[str]


def load(workspace: Workspace, dataset: str) -> Vectors:
    """Raises ``NotFound`` for a dataset that is not there, or has no index that serves it as it is now."""
    import numpy as np

    record = workspace.datasets.get(dataset)
    found = workspace.indexes.find(dataset)
    if found is None:
        raise NotFound(f"“{record.name}” has no index yet.", f"Build it: index {record.name}")
    if found.fingerprint != record.fingerprint:
        raise NotFound(f"“{record.name}” changed after its index was built.", f"Bring it up to date: index {record.name}")
    import lancedb

    table = lancedb.connect(str(Path(found.folder))).open_table("passages").to_arrow().select(["split", "row", "piece", "text", "vector"])
    order = {split: number for number, split in enumerate(record.splits)}
    columns = [table[name].to_pylist() for name in ("split", "row", "piece", "text")]
    sums: dict[tuple[int, int], Any] = {}
    texts: dict[tuple[int, int], tuple[int, str]] = {}
    matrix = np.asarray(table["vector"].combine_chunks().flatten()).reshape(len(table), -1)
    for number, (split, row, piece, text) in enumerate(zip(*columns, strict=True)):
        key = (order[split], row)
        sums[key] = sums[key] + matrix[number] if key in sums else matrix[number]
        texts[key] = min(texts.get(key, (piece, text)), (piece, text))
    keys = sorted(sums)
    means = np.stack([sums[key] for key in keys]).astype(np.float32)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    names = list(record.splits)
    return Vectors([(names[split], row) for split, row in keys], means, [texts[key][1] for key in keys])
