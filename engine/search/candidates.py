"""The passages that a question may find, and which rows of them are the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.search.fusion import MEANING, fused

if TYPE_CHECKING:
    from engine.search.store import Files

DEPTH = 50
"""Passages looked at, at least, for the rows that they belong to."""
EDGE = 2000
"""The place, among the passages that were read, whose cosine no passage that was not read is taken to reach."""
OUT = -2.0
"""The score of a passage that is not to be found; less than any cosine."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Passages by number, in the order of the data; their scores, and their cosines where meaning was asked."""

    numbers: Any
    scores: Any
    dense: Any

    def without(self, passages: Any) -> Pool:
        """``passages``: a mask over all passages of the index."""
        self.scores[passages[self.numbers]] = OUT
        return self

    def best(self, files: Files, count: int, above: float = OUT) -> list[int]:
        """The places in this pool of the best passage of each of the ``count`` best rows that score above ``above``,
        best first; of equals, the first in the data."""
        import numpy as np

        scores, depth = self.scores, max(DEPTH, 3 * count)
        while True:
            edge = OUT
            places = np.arange(len(scores))
            if depth < len(scores):
                top = np.argpartition(scores, -depth)[-depth:]
                edge = float(scores[top].min())
                places = np.flatnonzero(scores >= edge) if edge > max(0.0, above) else top
            places = places[scores[places] > above]
            best: dict[tuple[int, int], int] = {}
            for place in places[np.lexsort((places, -scores[places]))].tolist():
                number = self.numbers[place]
                best.setdefault((int(files.split[number]), int(files.row[number])), place)
                if len(best) == count:
                    return list(best.values())
            if edge <= above:
                return list(best.values())
            depth *= 4


def everything(files: Files, vector: Any, lexical: Any) -> Pool:
    """Every passage of the index, with its exact score."""
    import numpy as np

    dense = None if vector is None else files.scores(vector)
    return Pool(np.arange(len(files)), fused(dense, lexical), dense)


def nearby(files: Files, vector: Any, lexical: Any, count: int) -> Pool | None:
    """The passages of the nearest lists, and those whose words alone may lift them among the ``count`` best; None for
    an index without lists. The scores are exact."""
    import numpy as np

    read = files.near(vector, count)
    if read is None:
        return None
    numbers, dense = read
    if lexical is None:
        return Pool(numbers, fused(dense, None), dense)
    most = float(lexical.max(initial=0.0))
    pool = Pool(numbers, fused(dense, lexical[numbers], most), dense)
    # Threshold algorithm (Fagin, Lotem and Naor, 2003): what was not read has at most what its words and the edge give.
    depth, edge = min(len(numbers), max(DEPTH, 3 * count)), min(len(numbers), EDGE)
    bar = float(np.partition(pool.scores, -depth)[-depth])
    meaning = MEANING * max(0.0, float(np.partition(dense, -edge)[-edge])) / max(float(dense.max()), 1e-6)
    unread = lexical > max(0.0, (bar - meaning) / (1 - MEANING) * most)
    unread[numbers] = False
    more = np.flatnonzero(unread)
    if not len(more):
        return pool
    numbers, dense = np.concatenate([numbers, more]), np.concatenate([dense, files.vector(more) @ vector])
    order = np.argsort(numbers)
    return Pool(numbers[order], fused(dense[order], lexical[numbers[order]], most), dense[order])
