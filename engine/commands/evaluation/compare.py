"""The Command that holds runs against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.commands.evaluation.evaluate import no_run, otherwise, run_data
from engine.errors import BitternError, DataError, NotFound
from engine.results import Result, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.compare import Comparison, Difference, Pair
    from engine.evaluation.slices import Slice
    from engine.store.datasets import DatasetRecord
    from engine.store.runs import RunRecord
    from engine.store.workspace import Workspace

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAME = 40
"""Characters of a slice's name in a table."""


class Compare(Now):
    """Compare evaluation runs row by row: what differs, whether by more than chance, and which rows flipped.

    Name runs, or models: then their latest runs on a common dataset, split and task are taken. Each run is held against
    the first. With --by, slices of the rows: where it got better or worse.
    """

    verb = "compare"
    words = ("a", "b", "more")
    rest = True
    examples = ("compare smollm2 smollm2-tickets", "compare 3 4 5", "compare 3 4 --by label", "compare 3 4 --by length --metric chrf")
    completes = {"a": "runs", "b": "runs", "more": "runs"}

    a: str = Field(description="A run's number or a model's name")
    b: str = Field(description="Another run's number or model's name")
    more: str = Field("", description="Further ones, with spaces between them")
    by: str = Field("", description="Slices of the rows: label, length (of the prompt), cluster (of the dataset's map), or a column")
    metric: str = Field("", description="The figure of the slices (the first of the table)")

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.compare import compare_all, pairs

        runs = chosen(desk.workspace, [self.a, self.b, *self.more.split()])
        found = pairs(runs)
        compared = compare_all(found)
        if not self.by:
            return told(desk.workspace, found, compared)
        return told(desk.workspace, found, compared, self.by, sliced_by(desk.workspace, found, self.by, self.metric))


def chosen(workspace: Workspace, names: Sequence[str], task: str = "") -> list[RunRecord]:
    """The runs that are meant: of each name the newest (of ``task``), on rows that all of them have. Raises ``NotFound``."""
    candidates = [runs_of(workspace, name, task) for name in names]
    found: list[list[RunRecord]] = []
    for first in candidates[0]:
        taken = [first]
        for others in candidates[1:]:
            other = next((run for run in others if run not in taken and _rows_of(run) == _rows_of(first)), None)
            if other is None:
                break
            taken.append(other)
        if len(taken) == len(names):
            found.append(taken)
    if found:
        return max(found, key=lambda runs: (min(int(run.id) for run in runs), sum(int(run.id) for run in runs)))
    a, b = candidates[0][0], next((runs[0] for runs in candidates[1:] if _rows_of(runs[0]) != _rows_of(candidates[0][0])), candidates[1][0])
    said = " and ".join(f"“{name}”" for name in names)
    if a.id == b.id:
        raise BitternError(f"{said} have one run together.", "Compare two.")
    hint = f"Measure them on the same rows: evaluate {b.model} --on {a.dataset} --split {a.split}"
    raise NotFound(f"{said} have no run on the same dataset, split and task.", hint)


def runs_of(workspace: Workspace, name: str, task: str = "") -> list[RunRecord]:
    """The run with that number, or the runs of the model with that name, the newest first. Raises ``NotFound``."""
    runs = workspace.runs.all()
    found = [run for run in runs if run.id == name] or [run for run in runs if run.model == name]
    if some := [run for run in found if task in ("", run.task)]:
        return some
    if found:
        raise NotFound(f"“{name}” has been measured by {found[0].task}, not by {task}.", otherwise(workspace, found[0], task))
    if workspace.models.find(name):
        raise NotFound(f"“{name}” has not been measured yet.", f"Measure it: evaluate {name} --on DATASET")
    raise no_run(workspace, name, runs)


def measured_on(workspace: Workspace, run: RunRecord) -> DatasetRecord:
    """The dataset as it was when it was measured on. Raises ``DataError`` where those rows are gone."""
    record = workspace.datasets.find(run.dataset)
    if record and record.fingerprint == run.fingerprint:
        return record
    version = workspace.versions.find(run.dataset, run.fingerprint)
    if version is None or not version.kept:
        raise DataError(
            f"“{run.dataset}” has changed since run {run.id}, and its rows of then are gone.",
            f"Measure again: evaluate {run.model} --on {run.dataset}",
        )
    return version.record


def is_stale(workspace: Workspace, run: RunRecord) -> bool:
    """Whether addresses of a run's rows may mean other rows by now."""
    record = workspace.datasets.find(run.dataset)
    return record is None or record.fingerprint != run.fingerprint


def sliced_by(workspace: Workspace, found: Sequence[Pair], by: str, metric: str) -> list[list[Slice]]:
    """Slices by label, length, cluster or a column. Raises ``NotFound``, ``DataError``."""
    from engine.evaluation import slices

    first = found[0]
    if by == "label":
        groups = slices.by_label(first)
    elif by == "length":
        groups = slices.by_length(first.left)
    elif by == "cluster":
        groups = _clusters(workspace, first)
    else:
        from engine.data.rows import open_folder, split_folder

        record = measured_on(workspace, first.a)
        if by not in record.features:
            raise NotFound.named("column", by, ["label", "length", "cluster", *record.features], f"It has {', '.join(record.features)}.")
        rows = open_folder(split_folder(record, first.a.split)).take([int(row["row"]) for row in first.left])
        groups = slices.by_values(by, [row[by] for row in rows])
    return [sorted(each, key=_telling) for each in slices.sliced(found, groups, metric)]


def _telling(slice_: Slice) -> tuple[bool, float]:
    """What changed by more than chance comes first, and of the rest what changed most."""
    return slice_.figure.verdict not in ("better", "worse"), -abs(slice_.figure.difference)


def _clusters(workspace: Workspace, pair: Pair) -> list[str]:
    from engine.commands.data.quality import last_map

    atlas = last_map(workspace, pair.a.dataset)
    if atlas.fingerprint != pair.a.fingerprint:
        raise DataError(f"The map of “{pair.a.dataset}” is not of the rows that were measured.", f"Draw it again: atlas {pair.a.dataset}")
    here = atlas.splits.index(pair.a.split)
    known = {int(row): atlas.names[cluster] for split, row, cluster in zip(atlas.split, atlas.row, atlas.cluster, strict=True) if split == here}
    return [known.get(int(row["row"]), "(not on the map)") for row in pair.left]


def told(workspace: Workspace, found: Sequence[Pair], compared: Sequence[Comparison], by: str = "", slices: Sequence[Sequence[Slice]] = ()) -> Result:
    """A comparison as an answer."""
    first = found[0].a
    names = names_of([first, *(pair.b for pair in found)])
    data: dict[str, Any] = {
        "a": run_data(first), **_one(found[0], compared[0]), "rows": compared[0].rows, "names": names, "stale": is_stale(workspace, first),
        "others": [_one(pair, comparison) for pair, comparison in zip(found[1:], compared[1:], strict=True)],
    }  # fmt: skip
    opens = "compare:" + ",".join(run.id for run in (first, *(pair.b for pair in found)))
    said = " ".join(_sentence(pair, comparison, names[0], name) for pair, comparison, name in zip(found, compared, names[1:], strict=True))
    if len(found) > 1:
        said += f" p is Holm's for {len(found)} comparisons."
    if len(engines := sorted({engine for run in (first, *(pair.b for pair in found)) if (engine := run.metrics.get("backend"))})) > 1:
        said += f" Their answers were written by {' and by '.join(engines)}: other words may come from that alone."
    if not by:
        return Result(said, data, _table(names, compared), opens=opens)
    data["slices"] = _slices_data(first, by, slices, found)
    return Result(f"{said} {_aloud(by, slices)}", data, _slice_table(names, slices), opens=f"{opens}+{by}")


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """What the runs are called: their models, or their numbers where those are not different."""
    models = [run.model for run in runs]
    return [run.model if models.count(run.model) == 1 else f"{run.model} (run {run.id})" for run in runs]


def _rows_of(run: RunRecord) -> tuple[str, str, str, str]:
    return run.dataset, run.split, run.task, run.fingerprint


def _one(pair: Pair, comparison: Comparison) -> dict[str, Any]:
    return {"b": run_data(pair.b), "flipped": comparison.flipped, "metrics": {d.metric: difference_data(d) for d in comparison.differences}}


def difference_data(d: Difference) -> dict[str, Any]:
    return {
        "a": d.a, "b": d.b, "difference": d.difference, "low": d.low, "high": d.high, "p": d.p, "adjusted": d.adjusted, "test": d.test,
        "verdict": d.verdict,
    }  # fmt: skip


def _slices_data(first: RunRecord, by: str, slices: Sequence[Sequence[Slice]], found: Sequence[Pair]) -> dict[str, Any]:
    from engine.quality.report import rows_by_split

    return {
        "by": by,
        "metric": next((slice_.figure.metric for each in slices for slice_ in each), ""),
        "tested": _tested(slices),
        "slices": [
            {
                "slice": slice_.name, "rows": len(slice_.numbers), "against": pair.b.id, **difference_data(slice_.figure),
                "where": rows_by_split((first.split, number) for number in slice_.numbers)[first.split],
            }
            for pair, each in zip(found, slices, strict=True)
            for slice_ in each
        ],
    }  # fmt: skip


def _tested(slices: Sequence[Sequence[Slice]]) -> int:
    return sum(slice_.figure.p is not None for each in slices for slice_ in each)


def _aloud(by: str, slices: Sequence[Sequence[Slice]]) -> str:
    """How many slices were looked at, and what came of it."""
    every = [slice_ for each in slices for slice_ in each]
    changed = [slice_ for slice_ in every if slice_.figure.verdict in ("better", "worse")]
    few = len(every) - _tested(slices)
    said = f"{_tested(slices)} slice{'s' if _tested(slices) != 1 else ''} by {by} {'were' if _tested(slices) != 1 else 'was'} tested"
    said += f" ({few} with too few rows {'were' if few != 1 else 'was'} not)" if few else ""
    more = f"{len(changed)} changed by more than chance" if changed else "none changed by more than chance"
    return f"{said}; {more}, corrected for that many looks (Holm)."


def _sentence(pair: Pair, comparison: Comparison, a: str, b: str) -> str:
    from engine.evaluation.figures import figure, words

    first = next((d for d in comparison.differences if d.p is not None), comparison.differences[0])
    said = (
        f"{a} → {b} on {comparison.rows} rows of {pair.a.dataset}/{pair.a.split}: {words(first.metric)} {figure(first.metric, first.a)}"
        f" → {figure(first.metric, first.b)}"
    )
    if first.p is not None:
        said += f", {first.verdict} ({first.test}, p {first.adjusted:.3g})"
    said += "".join(
        f"; also {verdict}: {', '.join(names)}"
        for verdict in ("better", "worse")
        if (names := [words(d.metric) for d in comparison.differences if d is not first and d.verdict == verdict])
    )
    if "correct" not in pair.left[0]:
        return f"{said}."
    won = sum(1 for row in comparison.flipped if row["b_correct"])
    return f"{said}. {won} row{'s' if won != 1 else ''} became right, {len(comparison.flipped) - won} became wrong."


def _table(names: Sequence[str], compared: Sequence[Comparison]) -> Table:
    from engine.evaluation.figures import by_row, figure

    if len(compared) == 1:
        rows = [
            [by_row(d.metric), figure(d.metric, d.a), figure(d.metric, d.b), figure(d.metric, d.difference, sign=True), chance(d), d.verdict]
            for d in compared[0].differences
        ]
        return Table(["metric", f"A: {names[0]}", f"B: {names[1]}", "difference", "95% interval, p", "verdict"], rows)
    columns = ["metric", *(f"{letter}: {name}" for letter, name in zip(LETTERS, names, strict=False))]
    rows = []
    for number, d in enumerate(compared[0].differences):
        rest = [_short(comparison.differences[number]) for comparison in compared]
        rows.append([by_row(d.metric), figure(d.metric, d.a), *rest])
    return Table(columns, rows)


def _short(d: Difference) -> str:
    from engine.evaluation.figures import figure

    told_ = f"{figure(d.metric, d.b)} ({figure(d.metric, d.difference, sign=True)}"
    return f"{told_})" if d.adjusted is None else f"{told_}, p {d.adjusted:.3g}{'' if d.verdict == 'no more than chance' else ', ' + d.verdict})"


def _slice_table(names: Sequence[str], slices: Sequence[Sequence[Slice]]) -> Table:
    from engine.evaluation.figures import figure

    rows = []
    for name, each in zip(names[1:], slices, strict=True):
        for slice_ in each:
            d = slice_.figure
            cells = [figure(d.metric, d.a), figure(d.metric, d.b), figure(d.metric, d.difference, sign=True), chance(d)]
            mark = {"better": "▲ better", "worse": "▼ worse"}.get(d.verdict, d.verdict or "too few rows")
            rows.append([*([name] if len(slices) > 1 else []), _cut(slice_.name), str(len(slice_.numbers)), *cells, mark])
    last = "B" if len(slices) == 1 else "it"
    return Table([*(["run"] if len(slices) > 1 else []), "slice", "rows", "A", last, "difference", "95% interval, p", "verdict"], rows)


def chance(difference: Difference) -> str:
    """Interval and p for people."""
    from engine.evaluation.figures import figure

    if difference.low is None or difference.high is None:
        return "–"
    said = f"{figure(difference.metric, difference.low, sign=True)} to {figure(difference.metric, difference.high, sign=True)}"
    p = difference.p if difference.adjusted is None else difference.adjusted
    return said if p is None else f"{said}, p {p:.3g}"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= NAME else flat[: NAME - 1] + "…"
