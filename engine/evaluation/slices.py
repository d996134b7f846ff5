"""Parts of the rows of two runs: where one got better or worse, with a correction for how many parts were looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import DataError, NotFound
from engine.evaluation.chance import holm
from engine.evaluation.compare import Difference, Pair, common, held_against
from engine.evaluation.rowwise import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.rowwise import ByRow, Row

FEWEST = 5
"""Rows that a slice must have to be tested: fewer can't show more than chance, whatever they say."""
MOST = 200
"""Different values of a column that are taken as slices; above that, numbers are cut into quarters."""
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows: ``numbers`` are its rows in the split. ``figure.p`` is ``None`` where it has too few rows."""

    name: str
    numbers: list[int]
    figure: Difference


def sliced(found: Sequence[Pair], groups: Sequence[str], metric: str = "") -> list[list[Slice]]:
    """For each pair its slices, in the order of their names in ``groups`` (one name a row). p is Holm's over all slices
    of all pairs. Without ``metric`` the first that can be tested. Raises ``NotFound``."""
    known = measures(found[0].a.metrics, common(found))
    names = [measure.name for measure in known]
    if metric and metric not in names:
        raise NotFound.named("figure", metric, names, f"By row there are {', '.join(names)}.")
    # Perplexity of two tokenizers can't be tested in pairs; bits a byte, which come after it, can.
    wanted = [measure for measure in known if measure.name == metric] if metric else known
    chosen = next((measure for measure in wanted if _tested(measure, found)), wanted[0])
    places: dict[str, list[int]] = {}
    for at, name in enumerate(groups):
        places.setdefault(name, []).append(at)
    raw = [[slice_ for name, rows in places.items() if (slice_ := _slice(pair, chosen, name, rows))] for pair in found]
    adjusted = iter(holm([slice_.figure.p for slices in raw for slice_ in slices]))
    return [[replace(slice_, figure=replace(slice_.figure, adjusted=next(adjusted))) for slice_ in slices] for slices in raw]


def _tested(measure: ByRow, found: Sequence[Pair]) -> bool:
    """Whether the rows have a common weight by which they can be held against each other in pairs."""
    import numpy as np

    (_, weights), (_, others) = measure.columns(found[0].left), measure.columns(found[0].right)
    return bool(weights.sum()) and (measure.own or np.array_equal(weights, others))


def _slice(pair: Pair, measure: ByRow, name: str, rows: list[int]) -> Slice | None:
    left, right = [pair.left[at] for at in rows], [pair.right[at] for at in rows]
    figure = held_against(measure, left, right)
    if figure is None:
        return None
    if len(rows) < FEWEST:
        figure = replace(figure, low=None, high=None, p=None, test="")
    return Slice(name, [int(row["row"]) for row in left], figure)


def by_label(pair: Pair) -> list[str]:
    """The right label of each row. Raises ``DataError`` where rows have none."""
    if pair.a.task != "classification" and "label" not in pair.left[0]:
        raise DataError(f"The rows of “{pair.a.dataset}” have no label.", "Look at them by length, or by a column: --by length")
    return [str(row["reference"]) for row in pair.left]


def by_length(rows: Sequence[Row]) -> list[str]:
    """A quarter of the rows by the characters of the prompt."""
    return quarters([len(str(row["prompt"])) for row in rows], "characters")


def by_values(column: str, values: Sequence[Any]) -> list[str]:
    """A slice for each value of a column, or a quarter of the rows by a number. Raises ``DataError`` for a free text."""
    if len({str(value) for value in values}) <= min(MOST, max(10, len(values) // 2)):
        return ["(empty)" if value in (None, "") else str(value) for value in values]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values if value is not None):
        return quarters(list(values), "")
    raise DataError(f"“{column}” is different in nearly every row: there is nothing to gather.", "Take another column, or --by length.")


def quarters(values: Sequence[float | None], unit: str) -> list[str]:
    """The rows in up to four parts of about the same size by a number, each named by its range."""
    import numpy as np

    known = np.array([value for value in values if value is not None], dtype=float)
    edges = np.unique(np.quantile(known, [part / QUARTERS for part in range(1, QUARTERS)])) if len(known) else known
    groups = [None if value is None else int(np.searchsorted(edges, value, side="left")) for value in values]
    names = {}
    for group in sorted({group for group in groups if group is not None}):
        inside = [value for value, own in zip(values, groups, strict=True) if own == group and value is not None]
        low, high = min(inside), max(inside)
        names[group] = f"{low:g} to {high:g} {unit}".strip() if low != high else f"{low:g} {unit}".strip()
    return ["(empty)" if group is None else names[group] for group in groups]
