"""The figures of a run that are made of its rows one by one, so that two runs can be held against each other in pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.evaluation import scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

Row = dict[str, Any]
LESS_IS_BETTER = ("wer", "cer", "perplexity", "bits_per_byte", "loss", "ece", "mae", "rmse", "hamming")
CORRECT = ("accuracy", "subset_accuracy", "exact_match")
"""What the share of rows that are ``correct`` is called: the first of these that the run has."""
OF_COUNTS = ("entity_f1", "micro_f1")
"""What the F1 of a row's ``counts`` (found rightly, found, meant) is called: the first of these that the run has."""
MEANS = ("acc_norm", "ndcg_10", "mrr_10", "map", "recall_10", "recall_100")
"""Figures that are the mean of what a row keeps under the same name."""


@dataclass(frozen=True, slots=True)
class ByRow:
    """A figure that is ``turn(sum of tops / sum of bottoms)``; ``parts`` gives the top and the bottom of a row. With
    ``own`` each run's rows have bottoms of their own, as F1 has."""

    name: str
    parts: Callable[[Row], tuple[float, float]]
    turn: Callable[[Any], Any] | None = None
    own: bool = False

    def columns(self, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """Tops and bottoms, each float64 of shape (rows,)."""
        import numpy as np

        both = np.array([self.parts(row) for row in rows], dtype=float).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def of(self, top: np.ndarray, bottom: np.ndarray) -> float:
        """The figure of some rows; not a number where the bottoms add up to nothing."""
        whole = float(bottom.sum())
        if not whole:
            return math.nan
        value = float(top.sum()) / whole
        return float(self.turn(value)) if self.turn else value


def measures(metrics: dict[str, Any], row: Row) -> list[ByRow]:
    """What a run with these metrics can be compared by, judged by one of its rows; what says most comes first."""
    found = []
    if "correct" in row:
        found.append(_mean(next((name for name in CORRECT if name in metrics), CORRECT[-1]), lambda row: row["correct"]))
    if "counts" in row and (named := next((name for name in OF_COUNTS if name in metrics), "")):
        found.append(ByRow(named, lambda row: (2.0 * row["counts"][0], float(row["counts"][1] + row["counts"][2])), own=True))
    found += [_mean(name, lambda row, name=name: row[name]) for name in MEANS if name in row and name in metrics]  # type: ignore[misc]
    if "error" in row:
        found.append(_mean("mae", lambda row: abs(row["error"])))
        found.append(ByRow("rmse", lambda row: (row["error"] ** 2, 1.0), _root))
    if "rouge_l" in row:  # a written answer
        if "label" in row:
            found.append(_mean("exact_match", lambda row: scores.exact(row["prediction"], row["reference"])))
        found += [
            _mean("token_f1", lambda row: scores.token_f1(row["prediction"], row["reference"])),
            _mean("rouge_l", lambda row: row["rouge_l"]),
            _mean("chrf", lambda row: row["chrf"]),
            ByRow("wer", lambda row: scores.word_errors(row["prediction"], row["reference"])),
            ByRow("cer", lambda row: scores.character_errors(row["prediction"], row["reference"])),
        ]
    if "nll" in row:
        found.append(ByRow("perplexity", lambda row: (row["nll"], row["tokens"]), _exp))
        found.append(ByRow("bits_per_byte", lambda row: (row["nll"] / math.log(2), len(row["reference"].encode()))))
    return found


def right(row: Row) -> bool | None:
    """Whether the row was answered rightly; ``None`` where nothing was answered."""
    return bool(row["correct"]) if "correct" in row else None


def _mean(name: str, value: Callable[[Row], Any]) -> ByRow:
    return ByRow(name, lambda row: (float(value(row)), 1.0))


def _exp(mean: Any) -> Any:
    """e to the mean, as far as floats go; of a number or of an array."""
    import numpy as np

    return np.exp(np.minimum(mean, 700.0))


def _root(mean: Any) -> Any:
    import numpy as np

    return np.sqrt(mean)
