"""A run described to a stranger: figures, verdict, curves, rows and settings, gathered into sections that renderers write out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError
from engine.evaluation.chart import Chart, charts
from engine.evaluation.compare import compare_all, pairs, predictions
from engine.evaluation.figures import between, by_row, figure, headline, most_confused, single, words
from engine.evaluation.tasks import TASKS
from engine.evaluation.worst import WHY, worst

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.evaluation.compare import Comparison, Difference
    from engine.store.jobs import JobRecord
    from engine.store.models import ModelRecord
    from engine.store.runs import RunRecord
    from engine.store.workspace import Workspace

    Against = tuple[RunRecord, Comparison] | str
    """A run to hold another against, and how they compare; or in words why there is none."""

ROWS = 20
"""Flips, and worst rows."""
LONGEST = 400
"""Characters of a text of a row."""
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Value:
    """A number as it is stored, and as people read it."""

    number: float
    text: str


Cell = str | Value


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    says: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """Texts are as they came from data, models and people: whoever writes them out makes them harmless."""

    title: str
    lead: list[str]
    sections: list[Section]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about; at least a run or a training is there. ``line`` says a job's Command as it would be typed,
    ``settings`` what it was set to."""

    workspace: Workspace
    model: ModelRecord | None
    run: RunRecord | None
    training: JobRecord | None
    measuring: JobRecord | None
    line: Callable[[JobRecord], str]
    settings: Callable[[JobRecord], dict[str, Any]]


def gather(subject: Subject) -> Report:
    """All that is known of the subject. What is missing is said in its place, and is no error."""
    run, training = subject.run, subject.training
    name = subject.model.name if subject.model else run.model if run else str(training.command.get("name", "")) if training else ""
    lead = _who(subject.model) if subject.model else []
    against = _against(subject, run) if run else ""
    if run:
        lead.append(f"Measured on {run.rows} rows of {run.dataset}/{run.split} ({run.task}): {headline(run.metrics)}.")
    if not isinstance(against, str):
        lead.append(_in_short(*against))
    if training and training.summary:
        lead.append(f"The training: {training.summary}.")
    if run and subject.model and subject.model.created > run.created:
        lead.append("The model of this name was made anew after it was measured: what is said of the model may not be the one that was measured.")
    sections = [*(_of_run(run, against) if run else []), *(_curves(subject, training) if training else []), *_settings(subject)]
    return Report(f"{name}, {'run ' + run.id if run else 'job ' + training.id if training else ''}", lead, sections)


def _who(model: ModelRecord) -> list[str]:
    """What a model is, for a reader who has never heard of it."""
    on, rows = model.facts.get("trained_on"), model.facts.get("rows")
    if not model.base or not on:
        return []
    learnt = f"{rows:,} rows of {on}" if isinstance(rows, int) else str(on)
    return [f"{model.name} is {'an' if model.kind[0] in 'aeiou' else 'a'} {model.kind} made from {model.base}, trained on {learnt}."]


def _of_run(run: RunRecord, against: Against) -> list[Section]:
    figures: list[list[Cell]] = [
        [words(name), Value(value, figure(name, value)), between(run.metrics, name)] for name, value in single(run.metrics).items()
    ]
    found = [Section("Figures", [f"Run {run.id} of {_day(run.created)}."], ["figure", "value", "95 % interval"], figures)]
    found += _verdict(run, against)
    try:
        rows = worst(predictions(run), ROWS)
    except BitternError as error:
        found.append(Section("Worst rows", [error.message]))
    else:
        cells: list[list[Cell]] = [
            [item.row["address"], WHY[item.why], Value(item.score, f"{item.score:.3g}"), _cut(item.row["reference"]),
             _cut(item.row.get("prediction", "")), _cut(item.row["prompt"])]
            for item in rows
        ]  # fmt: skip
        found.append(Section("Worst rows", [], ["row", "why", "figure", "right answer", "answer", "prompt"], cells))
    confused = most_confused(run.metrics)
    if confused:
        pairs_: list[list[Cell]] = [[pair["reference"], pair["prediction"], Value(pair["rows"], str(pair["rows"]))] for pair in confused]
        found.append(Section("Most confused", [], ["right label", "taken for", "rows"], pairs_))
    return found


def _against(subject: Subject, run: RunRecord) -> Against:
    """The newest run of the model's base on the same rows, and how the two compare; or why that can't be said."""
    base = subject.model.base if subject.model else ""
    if not base:
        return ""
    same = (run.dataset, run.split, run.task, run.fingerprint)
    other = next((r for r in subject.workspace.runs.all() if r.model == base and (r.dataset, r.split, r.task, r.fingerprint) == same), None)
    known = subject.workspace.models.find(base)
    if other is None and known and run.task in TASKS and known.kind not in TASKS[run.task].models:
        return (
            f"“{base}”, from which it was trained, is of the kind {known.kind}: it can't answer such rows, and there is nothing to hold it against."
        )
    if other is None:
        return f"“{base}”, from which it was trained, has no run on the same rows: evaluate {run.model} --on {run.dataset} --with base makes one."
    try:
        [compared] = compare_all(pairs([other, run]))
    except BitternError as error:
        return f"{error.message} {error.hint}"
    return other, compared


def _in_short(other: RunRecord, compared: Comparison) -> str:
    """The verdict in a sentence."""
    told = {verdict: [words(d.metric) for d in compared.differences if d.verdict == verdict] for verdict in ("better", "worse")}
    said = "; ".join(f"{verdict} in {', '.join(names)}" for verdict, names in told.items() if names)
    return f"Against {other.model} on the same {compared.rows} rows: {said or 'no figure changed by more than chance'}."


def _verdict(run: RunRecord, against: Against) -> list[Section]:
    """The run against its base, with the rows that flipped."""
    if isinstance(against, str):
        return [Section("Verdict", [against])] if against else []
    other, compared = against
    base = other.model
    won = [row for row in compared.flipped if row["b_correct"]]
    lost = [row for row in compared.flipped if not row["b_correct"]]
    says = [
        f"Against {base} (run {other.id}), on the {compared.rows} rows that both have. p is McNemar's exact test for right and wrong, else the"
        " paired bootstrap's; an interval is the paired bootstrap's."
    ]  # fmt: skip
    columns = ["figure", base, run.model, "difference", "95 % interval", "p", "verdict"]
    sections = [Section("Verdict", says, columns, [_difference(d) for d in compared.differences])]
    if compared.flipped:
        half = ROWS // 2
        shown = lost[: max(half, ROWS - len(won))]
        shown += won[: ROWS - len(shown)]
        cells: list[list[Cell]] = [
            ["became right" if row["b_correct"] else "became wrong", row["address"], _cut(row["reference"]), _cut(row["a"]), _cut(row["b"]),
             _cut(row["prompt"])]
            for row in shown
        ]  # fmt: skip
        told = f"{len(won)} row{'s' if len(won) != 1 else ''} became right, {len(lost)} became wrong. {len(shown)} of them:"
        sections.append(Section("Flips", [told], ["", "row", "right answer", base, run.model, "prompt"], cells))
    return sections


def _difference(d: Difference) -> list[Cell]:
    low_high = f"{figure(d.metric, d.low, sign=True)} to {figure(d.metric, d.high, sign=True)}" if d.low is not None and d.high is not None else "–"
    p: Cell = Value(d.p, f"{d.p:.3g}") if d.p is not None else "–"
    return [
        by_row(d.metric), Value(d.a, figure(d.metric, d.a)), Value(d.b, figure(d.metric, d.b)),
        Value(d.difference, figure(d.metric, d.difference, sign=True)), low_high, p, d.verdict or "–",
    ]  # fmt: skip


def _curves(subject: Subject, training: JobRecord) -> list[Section]:
    found = charts(subject.workspace.paths.job(training.id) / "events.jsonl")
    return [Section("Curves", [] if found else ["The training left no figures by step."], charts=found)]


def _settings(subject: Subject) -> list[Section]:
    found = []
    for title, job in (("How it was trained", subject.training), ("How it was measured", subject.measuring)):
        if job:
            rows: list[list[Cell]] = [
                [name.rstrip("_").replace("_", " "), _plain(value)] for name, value in subject.settings(job).items() if value not in (None, "", [])
            ]
            found.append(Section(title, [_plain(subject.line(job)), _when(job)], ["setting", "value"], rows))
            found.append(_made_with(subject, job))
    if subject.model:
        found += [_model("Model", subject.model)]
        if subject.model.base and (base := subject.workspace.models.find(subject.model.base)):
            found.append(_model("Base model", base))
    return found + _datasets(subject)


def _made_with(subject: Subject, job: JobRecord) -> Section:
    try:
        kept = json.loads((subject.workspace.paths.job(job.id) / "job.json").read_text("utf-8")).get("made_with")
    except (OSError, ValueError):
        kept = None
    title = f"Job {job.id} was made with"
    if not kept:
        return Section(title, ["The versions and the machine were not written down."])
    machine = kept["machine"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    rows: list[list[Cell]] = [
        ["machine", f"{machine['system']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB of memory, {gpus}"],
        ["Python", kept["python"]],
        *([name, number] for name, number in kept["libraries"].items()),
    ]
    return Section(title, [], ["", ""], rows)


def _model(title: str, model: ModelRecord) -> Section:
    told = {"name": model.name, "kind": model.kind, "source": model.source, "revision": model.revision or "not known", "base": model.base}
    rows: list[list[Cell]] = [[name, _plain(value)] for name, value in {**told, **model.facts}.items() if value not in (None, "", [])]
    return Section(title, [], ["", ""], rows)


def _datasets(subject: Subject) -> list[Section]:
    wanted: dict[tuple[str, str], None] = {}
    if subject.model and (on := str(subject.model.facts.get("trained_on", ""))):
        wanted[on.rpartition("/")[0], str(subject.model.facts.get("fingerprint", ""))] = None
    if subject.run:
        wanted[subject.run.dataset, subject.run.fingerprint] = None
    return [_dataset(subject.workspace, name, fingerprint) for name, fingerprint in wanted]


def _dataset(workspace: Workspace, name: str, fingerprint: str) -> Section:
    """A dataset as it was at a fingerprint, with the steps that led there."""
    from engine.data.lineage import steps
    from engine.data.lineage.versions import lineage

    record, version = workspace.datasets.find(name), workspace.versions.find(name, fingerprint)
    if record is None or record.fingerprint != fingerprint:
        record = version.record if version else None
    rows: list[list[Cell]] = [["name", name], ["fingerprint", fingerprint]]
    if record:
        rows += [
            ["source", _plain(record.source)], ["shape", record.shape], ["rows", ", ".join(f"{split} {count:,}" for split, count in record.splits.items())],
            ["columns", ", ".join(f"{column} ({kind})" for column, kind in record.features.items())],
        ]  # fmt: skip
    says = [] if record else ["The dataset is no longer as it was then, and that version is not known any more."]
    if version:
        try:
            rows += [
                [f"step {number}", _plain(steps.from_json(step.step).says())] for number, step in enumerate(lineage(workspace, version), start=1)
            ]
        except (BitternError, ValueError):
            says.append("The steps that made it are not known any more.")
    return Section(f"Dataset {name}", says, ["", ""], rows)


def _when(job: JobRecord) -> str:
    return f"Job {job.id}, {job.state}; begun {_day(job.started or job.created)}, ended {_day(job.finished or '')}."


def _day(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC" if moment else "not yet"


def _plain(value: Any) -> str:
    """A setting as text, without a login in an address, and without the name of the person's folder."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _LOGIN.sub("", text).replace(str(Path.home()), "~") if str(Path.home()) != "/" else _LOGIN.sub("", text)


def _cut(text: Any) -> str:
    told = str(text)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
