"""The rows of a run that it is worst at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.rowwise import Row

Order = Literal["auto", "wrong", "unsure", "error", "chrf", "loss"]
WHY = {
    "wrong": "sure, and wrong", "unsure": "right, but barely", "error": "far from the right number", "chrf": "far from the right answer", "loss": "the right answer surprised it most",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Worst:
    """A row, why it is here (a key of ``WHY``), and the figure that put it here."""

    row: Row
    why: str
    score: float


def orders(rows: Sequence[Row]) -> list[str]:
    """The ways in which these rows can be put in order, the one that says most first."""
    first = rows[0]
    found = ["wrong", "unsure"] if "probability" in first else []
    found += ["error"] if "error" in first else []
    return found + (["chrf"] if "chrf" in first else []) + (["loss"] if "nll" in first else [])


def worst(rows: Sequence[Row], count: int, order: Order = "auto") -> list[Worst]:
    """At most ``count`` rows, the worst first. ``auto``: of labels, what it was surest of and wrong, and, with the room
    that is left, what it had right by the smallest probability; of numbers the largest error; of answers the lowest chrF; else the highest loss.

    Raises ``DataError`` for an order that the rows have no figure for.
    """
    known = orders(rows)
    if order != "auto" and order not in known:
        raise DataError(f"These rows can't be put in order by “{order}”.", f"Use {' or '.join(known)}.")
    if order == "auto" and known[:1] == ["wrong"]:
        found = _ordered(rows, "wrong")[:count]
        return found + _ordered(rows, "unsure")[: count - len(found)]
    return _ordered(rows, known[0] if order == "auto" else order)[:count]


def _ordered(rows: Sequence[Row], order: str) -> list[Worst]:
    if order in ("wrong", "unsure"):
        sign = -1 if order == "wrong" else 1
        chosen = [Worst(row, order, float(row["probability"])) for row in rows if bool(row["correct"]) == (order == "unsure")]
        return sorted(chosen, key=lambda item: (sign * item.score, item.row["row"]))
    if order == "error":
        return sorted((Worst(row, order, abs(float(row["error"]))) for row in rows), key=lambda item: (-item.score, item.row["row"]))
    if order == "chrf":
        return sorted((Worst(row, order, float(row["chrf"])) for row in rows), key=lambda item: (item.score, item.row["row"]))
    return sorted((Worst(row, order, _bits(row)) for row in rows), key=lambda item: (-item.score, item.row["row"]))


def _bits(row: dict[str, Any]) -> float:
    """Bits a byte of the right answer."""
    return float(row["nll"]) / math.log(2) / max(1, len(row["reference"].encode()))
