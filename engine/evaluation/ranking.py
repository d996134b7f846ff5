"""Measures of a ranking: what a search or a reranker puts first, against judgements, with intervals over the queries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEPTH = 10
"""Places that are looked at, as BEIR and MTEB do; recall is looked at deeper too."""
DEEP = 100
KEYS = ("ndcg_10", "mrr_10", "map", "recall_10", "recall_100")


def ndcg(ranked: Sequence[str], judged: Mapping[str, float], depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain at ``depth``, 0 to 1: gains as they are judged, discounted by
    ``log2(place + 1)`` (Järvelin and Kekäläinen 2002, in the form of trec_eval); 0 where nothing is relevant."""
    best = _discounted(sorted((gain for gain in judged.values() if gain > 0), reverse=True)[:depth])
    return _discounted([max(0.0, judged.get(name, 0.0)) for name in ranked[:depth]]) / best if best else 0.0


def reciprocal_rank(ranked: Sequence[str], judged: Mapping[str, float], depth: int | None = DEPTH) -> float:
    """One by the place of the first relevant one; 0 when it is not among the first ``depth``."""
    return next((1 / place for place, name in enumerate(ranked[:depth], start=1) if judged.get(name, 0) > 0), 0.0)


def recall(ranked: Sequence[str], judged: Mapping[str, float], depth: int = DEPTH) -> float:
    """The share of the relevant ones that are among the first ``depth``."""
    relevant = {name for name, gain in judged.items() if gain > 0}
    return len(relevant & set(ranked[:depth])) / len(relevant) if relevant else 0.0


def average_precision(ranked: Sequence[str], judged: Mapping[str, float]) -> float:
    """The mean, over the relevant ones, of precision at the place of each; one that is not ranked adds 0."""
    relevant = sum(gain > 0 for gain in judged.values())
    found, total = 0, 0.0
    for place, name in enumerate(ranked, start=1):
        if judged.get(name, 0) > 0:
            found += 1
            total += found / place
    return total / relevant if relevant else 0.0


def of_query(ranked: Sequence[str], judged: Mapping[str, float]) -> dict[str, float]:
    """The figures of ``KEYS`` of one query. ``ranked`` are names, the best first, each once; ``judged`` are gains by
    name, and what is not judged is not relevant. The mean average precision is over what is ranked."""
    return {
        "ndcg_10": ndcg(ranked, judged), "mrr_10": reciprocal_rank(ranked, judged), "map": average_precision(ranked, judged),
        "recall_10": recall(ranked, judged), "recall_100": recall(ranked, judged, DEEP),
    }  # fmt: skip


def over_queries(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means over queries of the figures of ``KEYS`` that each of them has, and ``intervals`` by name. For a job's
    process."""
    from engine.evaluation.intervals import of_means

    columns: dict[str, Sequence[float]] = {name: [float(query[name]) for query in found] for name in KEYS if name in found[0]}
    return {**{name: math.fsum(values) / len(values) for name, values in columns.items()}, "intervals": of_means(columns)}


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))
