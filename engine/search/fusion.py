"""One ranking out of two: by meaning and by words."""

from __future__ import annotations

from typing import Any

MEANING = 0.5
"""The share of meaning in a hybrid score."""


def fused(dense: Any, lexical: Any, most: float | None = None) -> Any:
    """The score of every passage. Of one method, its own; of both, a convex combination of the scores, each as a share
    of the query's best, which keeps how much better one passage is than the next (Bruch, Gai and Ingber, TOIS 2023,
    find it better than fusing ranks, and steady where it was not tuned). ``most``: the best lexical score of the query,
    where ``lexical`` is not that of all passages."""
    import numpy as np

    if lexical is None:
        return dense.copy()
    if dense is None:
        return lexical
    best = float(dense.max(initial=-1.0))
    most = float(lexical.max(initial=0.0)) if most is None else most
    meaning = np.clip(dense, 0.0, None) / np.float32(max(best, 1e-6))
    return np.float32(MEANING) * meaning + np.float32(1 - MEANING) * (lexical / np.float32(most) if most > 0 else lexical)
