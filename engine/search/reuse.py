"""Vectors that an earlier index of the same dataset has already, found by their texts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.search import store

if TYPE_CHECKING:
    from engine.search.words import Fields
    from engine.store.workspace import Workspace


def _hash(fields: Fields) -> int:
    return int.from_bytes(hashlib.blake2b(repr(fields).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class Known:
    """The passages of an earlier index by their texts; 16 bytes a passage in memory."""

    def __init__(self, files: store.Files | None) -> None:
        import numpy as np

        self._files = files
        hashes = [_hash(fields) for fields in store.fields(files.folder)] if files else []
        values = np.array(hashes, dtype=np.uint64)
        self._order = np.argsort(values, kind="stable")
        self._hashes = values[self._order]

    @classmethod
    def none(cls) -> Known:
        return cls(None)

    @classmethod
    def of(cls, workspace: Workspace, dataset: str, way: str) -> Known:
        """What the dataset's present index knows, if it was made the same ``way``; an unreadable one knows nothing."""
        found = workspace.indexes.find(dataset)
        try:
            files = store.Files(Path(found.folder)) if found else None
        except DataError:
            files = None
        return cls(files if files and files.facts["way"] == way else None)

    def vector(self, fields: Fields) -> Any:
        """The vector of a passage with these texts at these weights, or None."""
        import numpy as np

        if self._files is None:
            return None
        wanted = _hash(fields)
        at = int(np.searchsorted(self._hashes, np.uint64(wanted)))
        while at < len(self._hashes) and int(self._hashes[at]) == wanted:
            number = int(self._order[at])
            if self._files.fields(number) == fields:
                return self._files.vector(number)
            at += 1
        return None
