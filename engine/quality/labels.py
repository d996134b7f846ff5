"""Labels that look wrong: the neighbours of a row agree with each other and not with it, and it lies nearer to the middle of
another label than to its own. Either alone is fooled, by a bad neighbour or by a label of many kinds; together they are sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.quality.meaning import Neighbours

NEIGHBOURS = 16
SHARPNESS = 12.0
"""How much more a nearer neighbour counts: its vote is ``exp(SHARPNESS * cosine)``."""
SHARE, AGREED = 0.1, 0.5
"""A label is in no doubt with more of its neighbours' votes than the first, nor without the second of them for one other label."""
MARGIN = 0.75
"""How much nearer to another label's middle, as a part of what a usual row is nearer to its own; `python -m tests.bench quality`
shows what other margins would find."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Row ``place`` of the matrix: its neighbours say ``says``; the larger ``score`` the surer."""

    place: int
    says: int
    score: float
    neighbours: list[int]


def doubts(matrix: Any, found: Neighbours, labels: Any, margin: float = MARGIN) -> list[Doubt]:
    """The rows whose label is in doubt, the surest first. A row or neighbour without a label (-1) has no say."""
    import numpy as np

    theirs = labels[found.places]
    votes = np.exp(SHARPNESS * (found.scores - found.scores[:, :1])) * (theirs >= 0)
    whole = np.maximum(votes.sum(1), 1e-9)
    own = (votes * (theirs == labels[:, None])).sum(1) / whole
    # The votes of each neighbour's label, summed over the neighbours that share it.
    shared = np.stack([(votes * (theirs == theirs[:, [place]])).sum(1) for place in range(theirs.shape[1])], 1) * (theirs >= 0)
    says, agreed = theirs[np.arange(len(labels)), shared.argmax(1)], shared.max(1) / whole
    nearer = nearer_to_another(matrix, labels)
    usual = -np.median(nearer[nearer < 0]) if (nearer < 0).any() else 1.0
    score = nearer / max(float(usual), 1e-6) - own
    wrong = np.flatnonzero((labels >= 0) & (says >= 0) & (says != labels) & (own <= SHARE) & (agreed >= AGREED) & (nearer >= margin * usual))
    order = wrong[np.argsort(-score[wrong], kind="stable")]
    return [
        Doubt(int(place), int(says[place]), round(float(score[place]), 4), found.places[place][theirs[place] == says[place]].tolist())
        for place in order
    ]  # fmt: skip


def nearer_to_another(matrix: Any, labels: Any) -> Any:
    """By how much each row is nearer to the middle of some other label than to that of its own, itself left out."""
    import numpy as np

    known = np.flatnonzero(labels >= 0)
    names, places = np.unique(labels[known], return_inverse=True)
    sums = np.zeros((len(names), matrix.shape[1]), np.float32)
    np.add.at(sums, places, matrix[known])
    middles = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    found = np.full(len(labels), -1.0, np.float32)
    for first in range(0, len(known), 8192):
        rows, mine = known[first : first + 8192], places[first : first + 8192]
        near = matrix[rows] @ middles.T
        without = sums[mine] - matrix[rows]
        own = (without * matrix[rows]).sum(1) / np.maximum(np.linalg.norm(without, axis=1), 1e-9)
        near[np.arange(len(rows)), mine] = -2.0
        found[rows] = near.max(1) - own
    return found
