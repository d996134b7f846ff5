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

    from engine.search.store import Files, is_whole

    record = workspace.datasets.get(dataset)
    found = workspace.indexes.find(dataset)
    if found is None or not is_whole(Path(found.folder)):
        raise NotFound(f"“{record.name}” has no index yet.", f"Build it: index {record.name}")
    if found.fingerprint != record.fingerprint:
        raise NotFound(f"“{record.name}” changed after its index was built.", f"Bring it up to date: index {record.name}")
    files = Files(Path(found.folder))
    # Passages lie in the order of the data, the pieces of a row side by side.
    firsts = np.flatnonzero(files.piece == 0)
    matrix = np.add.reduceat(files.vector(slice(None)), firsts, axis=0)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return Vectors([files.key(number) for number in firsts.tolist()], matrix, [files.text(number) for number in firsts.tolist()])
