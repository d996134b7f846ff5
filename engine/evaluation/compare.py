"""Runs on the same rows: what differs, whether by more than chance, and which rows flipped. Light at import."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import DataError
from engine.evaluation import kept
from engine.evaluation.chance import LEVEL, holm, mcnemar, paired
from engine.evaluation.rowwise import CORRECT, LESS_IS_BETTER, ByRow, Row, measures, right

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.store.runs import RunRecord

Verdict = Literal["better", "worse", "no more than chance", ""]


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of both runs on the rows they share.

    ``low`` and ``high``: the paired bootstrap's 95 % interval of ``b - a``, where the metric is made of the rows one by
    one. ``p`` is of ``test``: McNemar's exact one for right and wrong, else the paired bootstrap; ``adjusted`` is p after
    Holm's correction for all the runs (or slices) that were looked at.
    """

    metric: str
    a: float
    b: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    test: str = ""
    adjusted: float | None = None

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def verdict(self) -> Verdict:
        """What B is, against A; empty where nothing was tested."""
        if self.adjusted is None:
            return ""
        if self.adjusted > LEVEL or not self.difference:
            return "no more than chance"
        return "better" if (self.difference < 0) == (self.metric in LESS_IS_BETTER) else "worse"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, and the rows that every run of the comparison has, in the same order."""

    a: RunRecord
    b: RunRecord
    left: list[Row]
    right: list[Row]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``rows`` that the runs have in common; ``flipped`` are those that one has right and the other wrong."""

    rows: int
    differences: list[Difference]
    flipped: list[dict[str, Any]]


def compare(a: RunRecord, b: RunRecord) -> Comparison:
    """Raises ``DataError`` when the runs cannot be compared."""
    return compare_all(pairs([a, b]))[0]


def pairs(runs: Sequence[RunRecord]) -> list[Pair]:
    """The first run with each of the others, on the rows that all of them have. Raises ``DataError``."""
    first, *others = runs
    for other in others:
        _check(first, other)
    rows = [_rows(run) for run in runs]
    shared = sorted(set.intersection(*(set(found) for found in rows)))
    if not shared:
        told = "Run " + " and run ".join(run.id for run in runs)
        raise DataError(f"{told} have no row in common.", "Measure them with the same --rows and --seed.")
    left, *rights = [[found[row] for row in shared] for found in rows]
    return [Pair(first, other, left, theirs) for other, theirs in zip(others, rights, strict=True)]


def compare_all(found: Sequence[Pair]) -> list[Comparison]:
    """A comparison of each pair; p of a metric is corrected for the number of pairs."""
    raw = [_differences(pair) for pair in found]
    names = {difference.metric for differences in raw for difference in differences}
    corrected: list[dict[str, Difference]] = [{} for _ in raw]
    for name in names:
        places = [(at, difference) for at, differences in enumerate(raw) for difference in differences if difference.metric == name]
        for (at, difference), p in zip(places, holm([difference.p for _, difference in places]), strict=True):
            corrected[at][name] = replace(difference, adjusted=p)
    return [
        Comparison(len(pair.left), [by_name[difference.metric] for difference in differences], flipped(pair))
        for pair, differences, by_name in zip(found, raw, corrected, strict=True)
    ]


def common(found: Sequence[Pair]) -> Row:
    """The first row with what every run of the pairs tells of it: a server tells no likelihoods."""
    return {name: value for name, value in found[0].left[0].items() if all(name in pair.left[0] and name in pair.right[0] for pair in found)}


def held_against(measure: ByRow, left: Sequence[Row], rights: Sequence[Row]) -> Difference | None:
    """A metric on some rows of two runs; ``None`` where it has no meaning on them. ``adjusted`` is left open."""
    import numpy as np

    (first, weights), (second, others) = measure.columns(left), measure.columns(rights)
    if not weights.sum() or not others.sum():
        return None
    low = high = p = None
    test = ""
    # Two tokenizers cut an answer into different numbers of tokens: then the pairs have no common weight.
    if measure.own or np.array_equal(weights, others):
        low, high, p = paired(first, second, weights, measure.turn, others)
        test = "paired bootstrap"
    if measure.name in (*CORRECT, "acc_norm"):
        p = mcnemar(int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum()))
        test = "McNemar"
    return Difference(measure.name, measure.of(first, weights), measure.of(second, others), low, high, p, test)


def flipped(pair: Pair) -> list[dict[str, Any]]:
    """The rows that one run has right and the other wrong."""
    return [
        {
            "address": a["address"], "prompt": a["prompt"], "reference": a["reference"], "a": a["prediction"], "b": b["prediction"],
            "a_correct": right(a), "b_correct": right(b),
        }
        for a, b in zip(pair.left, pair.right, strict=True)
        if right(a) != right(b)
    ]  # fmt: skip


def _check(a: RunRecord, b: RunRecord) -> None:
    if (a.dataset, a.split, a.task) != (b.dataset, b.split, b.task):
        raise DataError(
            f"Run {a.id} is {a.task} on {a.dataset}/{a.split}, run {b.id} is {b.task} on {b.dataset}/{b.split}.",
            "Compare runs of the same task on the same rows.",
        )
    if a.fingerprint != b.fingerprint:
        raise DataError(f"“{a.dataset}” has changed between run {a.id} and run {b.id}.", f"Measure again: evaluate {a.model} --on {a.dataset}")


def _rows(run: RunRecord) -> dict[int, Row]:
    return {int(row["row"]): row for row in predictions(run)}


def predictions(run: RunRecord) -> list[Row]:
    """What a run kept of each row. Raises ``DataError`` when it is gone."""
    rows = kept.read(Path(run.predictions))
    if not rows:
        raise DataError(f"The predictions of run {run.id} are gone: {run.predictions}.", f"Measure again: evaluate {run.model} --on {run.dataset}")
    return rows


def _differences(pair: Pair) -> list[Difference]:
    a, b = pair.a, pair.b
    found = []
    for measure in measures(a.metrics, common([pair])):
        if (difference := held_against(measure, pair.left, pair.right)) is None:
            continue
        found.append(difference)
        if measure.name == "accuracy" and len(pair.left) == a.rows == b.rows and "macro_f1" in a.metrics and "macro_f1" in b.metrics:
            found.append(Difference("macro_f1", float(a.metrics["macro_f1"]), float(b.metrics["macro_f1"])))
    return found
