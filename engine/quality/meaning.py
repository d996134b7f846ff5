"""Nearness by meaning, over the vectors of an index: in blocks, never all rows with all rows in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.quality.corpus import Corpus
    from engine.quality.pairs import Pairs
    from engine.search.vectors import Vectors

BLOCK = 64 * 2**20
"""Similarities held at once: 256 MB of float32."""
SAME = 0.95
"""From this cosine on two rows say the same; `python -m tests.bench quality` shows what others would find."""
TILE = 128
MOST = 2_000_000
"""Pairs kept, so that a dataset of one sentence a million times ends too."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The ``k`` nearest of each row of a matrix, nearest first: their places in it and their cosines."""

    places: Any
    scores: Any


def placed(corpus: Corpus, found: list[Vectors]) -> tuple[Any, Any]:
    """``(rows, matrix)``: the vectors of one or two indexes, each with the number of its row in the corpus."""
    import numpy as np

    numbers = {(side.own, side.split): start for side, start in zip(corpus.sides, corpus.starts[:-1], strict=True)}
    rows = [numbers[own, split] + row for vectors, own in zip(found, (True, False), strict=False) for split, row in vectors.addresses]
    return np.asarray(rows, np.int64), np.concatenate([vectors.matrix for vectors in found])


def find(job: JobContext, rows: Any, matrix: Any, pairs: Pairs, least: float = SAME) -> bool:
    """Put every pair of rows at least so near into ``pairs``; returns whether all of them had room. Raises ``Stopped``."""
    import numpy as np

    total = len(matrix)
    step = max(1, min(total, BLOCK // max(1, total)))
    for first in range(0, total, step):
        job.check()
        last = min(total, first + step)
        block = matrix[first:last] @ matrix[first:].T
        left, right = np.nonzero(block >= least)
        upper = right > left
        left, right = left[upper], right[upper]
        for a, b, score in zip(rows[first + left].tolist(), rows[first + right].tolist(), block[left, right].tolist(), strict=True):
            pairs.add(a, b, score)
        job.progress(last, total, "rows", "comparing meanings")
        if len(pairs) > MOST:
            return False
    return True


def nearest(job: JobContext, matrix: Any, k: int) -> Neighbours:
    """The exact ``k`` nearest of each row, without itself. Raises ``Stopped``."""
    import numpy as np

    total = len(matrix)
    k = min(k, total - 1)
    places, scores = np.zeros((total, k), np.int64), np.zeros((total, k), np.float32)
    step = max(1, min(total, BLOCK // max(1, total)))
    for first in range(0, total, step):
        job.check()
        last = min(total, first + step)
        block = matrix[first:last] @ matrix.T
        block[np.arange(last - first), np.arange(first, last)] = -2.0
        places[first:last], scores[first:last] = top(block, k)
        job.progress(last, total, "rows", "looking at neighbours")
    return Neighbours(places, scores)


def top(block: Any, k: int) -> tuple[Any, Any]:
    """The columns of the ``k`` largest values of each row, largest first, and the values.

    The ``k`` largest lie in the ``k`` tiles whose maxima are largest, so that only those need be sorted.
    """
    import numpy as np

    height, width = block.shape
    tiles = width // TILE
    if tiles <= 2 * k:
        return _top(block, np.broadcast_to(np.arange(width), block.shape), k)
    tiled = block[:, : tiles * TILE].reshape(height, tiles, TILE)
    best = np.argpartition(-tiled.max(2), k - 1, axis=1)[:, :k]
    values = np.take_along_axis(tiled, best[:, :, None], 1).reshape(height, k * TILE)
    columns = (best[:, :, None] * TILE + np.arange(TILE)).reshape(height, k * TILE)
    rest = np.arange(tiles * TILE, width)
    values = np.concatenate([values, block[:, rest]], 1)
    return _top(values, np.concatenate([columns, np.broadcast_to(rest, (height, len(rest)))], 1), k)


def _top(values: Any, columns: Any, k: int) -> tuple[Any, Any]:
    import numpy as np

    best = np.argpartition(-values, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(values, best, 1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(np.take_along_axis(columns, best, 1), order, 1), np.take_along_axis(found, order, 1)
