"""UMAP (McInnes, Healy and Melville, 2018, arXiv:1802.03426), from exact neighbours, in numpy alone: each row near to those it is like.

The library umap-learn compiles for minutes when it is first imported, and can be neither followed nor stopped. The graph is its
graph, the forces are its forces; they act on a part of the edges at a time instead of on one after the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from engine.quality.meaning import nearest

if TYPE_CHECKING:
    from engine.jobs.context import JobContext

NEIGHBOURS = 15
A, B = 1.5769434603113077, 0.8950608779109733
"""The curve 1 / (1 + A d^2B) that fits UMAP's min_dist 0.1 and spread 1."""
EPOCHS = 200
REPELLED = 5
"""Rows that each moved row is pushed away from: any rows, which are seldom its neighbours."""
PARTS = 4
"""Pieces of an epoch, at least: the rows move between them."""
PIECE = 100_000
"""Edges in a piece, at most."""
CLIP = 4.0


def umap(job: JobContext, matrix: Any, seed: int) -> Any:
    """Two numbers for each row of ``matrix`` (n x d, float32; compared by their cosine), the same for the same seed.

    Raises ``Stopped``.
    """
    import numpy as np

    rows = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    near = nearest(job, rows.astype(np.float32), min(NEIGHBOURS, len(rows)) - 1)
    heads, tails, weights = graph(near.places, np.maximum(0, 1 - near.scores))
    random = np.random.default_rng(seed)
    points = _begun(matrix, random)
    share = weights / weights.max()
    kept = share >= 1 / EPOCHS
    heads, tails, share = heads[kept], tails[kept], share[kept]
    for epoch in range(EPOCHS):
        job.progress(epoch, EPOCHS, "epochs", "laying out the map")
        pulled = np.flatnonzero(random.random(len(share)) < share)
        random.shuffle(pulled)
        for part in np.array_split(pulled, max(PARTS, len(pulled) // PIECE)):
            job.check()
            _move(points, heads[part], tails[part], 1 - epoch / EPOCHS, random)
    job.progress(EPOCHS, EPOCHS, "epochs", "laying out the map")
    return points


def graph(places: Any, distances: Any) -> tuple[Any, Any, Any]:
    """The fuzzy graph of neighbours as its edges, each in both directions: ``(head, tail, weight)``.

    ``places``, ``distances``: the k nearest of each row (n x k), itself left out. The weight of a neighbour falls from 1 at
    the nearest, so that all of a row's weights are log2(k + 1) together; of both directions one is enough (a + b - ab).
    """
    import numpy as np
    from scipy.sparse import csr_array

    total, k = places.shape
    nearest_ = np.where((distances > 0).any(1), np.where(distances > 0, distances, np.inf).min(1), 0.0)
    beyond = np.maximum(0, distances - nearest_[:, None])
    low, high, width = np.zeros(total), np.full(total, np.inf), np.ones(total)
    target = math.log2(k + 1)
    for _ in range(64):
        found = np.exp(-beyond / width[:, None]).sum(1)
        over = found > target
        high, low = np.where(over, width, high), np.where(over, low, width)
        width = np.where(np.isinf(high), width * 2, (low + high) / 2)
        if np.abs(found - target).max() < 1e-5:
            break
    width = np.maximum(width, 1e-3 * np.maximum(distances.mean(1), 1e-9))
    weights = np.exp(-beyond / width[:, None])
    directed = csr_array((weights.ravel(), (np.repeat(np.arange(total), k), places.ravel())), shape=(total, total))
    both = directed + directed.T - directed * directed.T
    edges = both.tocoo()
    return edges.row, edges.col, edges.data


def _begun(matrix: Any, random: Any) -> Any:
    """Where the rows stand at first: the two directions in which they vary most, ten wide, and a little apart."""
    import numpy as np

    first = matrix[:, :2].astype(np.float64)
    if first.shape[1] < 2:
        first = np.column_stack([first, np.zeros(len(first))])
    first = 10 * (first - first.min(0)) / max(float((first.max(0) - first.min(0)).max()), 1e-9)
    return first + random.normal(scale=1e-2, size=first.shape)


def _move(points: Any, heads: Any, tails: Any, step: float, random: Any) -> None:
    """Pull the ends of each edge together, and push its head away from some other rows; ``step`` falls from 1 to 0."""
    import numpy as np

    apart = points[heads] - points[tails]
    far = np.maximum((apart**2).sum(1), 1e-12)
    pull = np.clip((-2 * A * B * far ** (B - 1) / (1 + A * far**B))[:, None] * apart, -CLIP, CLIP)
    others = random.integers(0, len(points), (len(heads), REPELLED))
    apart = points[heads][:, None, :] - points[others]
    far = (apart**2).sum(2)
    push = np.clip((2 * B / ((0.001 + far) * (1 + A * far**B)))[:, :, None] * apart, -CLIP, CLIP).sum(1)
    for axis in (0, 1):
        moved = np.bincount(heads, pull[:, axis] + push[:, axis], len(points)) - np.bincount(tails, pull[:, axis], len(points))
        points[:, axis] += step * moved
