"""Commands that look at a dataset's quality and draw its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.data.datasets import cell
from engine.errors import DataError, NotFound
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.quality.atlas import Atlas as Drawn
    from engine.quality.report import Finding, Kind, Report
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

SHOWN = 20
"""Groups of a finding that an answer tells; the screen and `findings --kind` have more."""
LINE = 400


class Check(Work):
    """Look for duplicates, near duplicates, leaks between splits, labels that look wrong, and personal data.

    Words are compared at once; what is alike by meaning, and the labels, need an index (`index NAME`). Each finding comes with
    the `filter` line that leaves its rows out; nothing is changed before you run it. The same check again is served at once.
    """

    verb = "check"
    effect = "compute"
    words = ("dataset",)
    examples = ("check tickets", "check tickets --only leaks,personal", "check tickets --against guide")
    completes = {"dataset": "datasets", "against": "datasets"}

    dataset: str = Field(description="Which dataset")
    against: str = Field("", description="Another dataset that must not share rows with it: a benchmark, what a model was trained on")
    only: list[Literal["duplicates", "near", "leaks", "labels", "personal"]] = Field([], description="Look for these alone; for everything otherwise")

    def prepare(self, desk: Desk) -> Check:
        record = desk.workspace.datasets.get(self.dataset)
        _with_rows(record)
        if self.against:
            _with_rows(desk.workspace.datasets.get(self.against))
        if self.against == self.dataset:
            raise DataError("A dataset can't be held against itself.", "Leave --against out: its splits are compared with each other anyway.")
        return self

    def ready(self, desk: Desk) -> Result | None:
        from engine.quality import check, kept

        found = kept.read_report(check.place(desk.workspace, *self._about(desk.workspace)))
        return told(found) if found else None

    def work(self, job: JobContext) -> Result:
        from engine.quality.check import check

        return told(check(job, *self._about(job.workspace)))

    def _about(self, workspace: Workspace) -> tuple[DatasetRecord, DatasetRecord | None, list[Kind]]:
        from engine.quality.report import KINDS

        other = workspace.datasets.get(self.against) if self.against else None
        return workspace.datasets.get(self.dataset), other, [kind for kind in KINDS if kind in self.only or not self.only]


class Findings(Now):
    """Show what the last check of a dataset found; with --kind, the rows of one finding, group by group."""

    verb = "findings"
    words = ("dataset",)
    examples = ("findings tickets", "findings tickets --kind leaks.exact")
    completes = {"dataset": "datasets"}

    dataset: str = Field(description="Which dataset")
    kind: str = Field("", description="One finding, by the name in the first column")
    count: int = Field(SHOWN, ge=1, le=1000, description="How many groups of it")

    def run(self, desk: Desk) -> Result:
        report = last_report(desk.workspace, self.dataset)
        stale = " The data changed after the check: `check` looks again." if is_stale(desk.workspace, report) else ""
        if not self.kind:
            result = told(report)
            # The filter lines would mean other rows now.
            return Result(result.summary + stale, result.data, result.table, "" if stale else result.body, result.opens)
        found = next((finding for finding in report.findings if finding.key == self.kind), None)
        if found is None:
            raise NotFound.named("finding", self.kind, [finding.key for finding in report.findings], f"`findings {self.dataset}` lists them.")
        rows = [
            [str(number), member.address, cell(member.label, 30), cell(member.note, 40), "goes" if member.goes else "stays", cell(member.text, 120)]
            for number, group in enumerate(found.examples[: self.count], start=1)
            for member in group.members
        ]
        table = Table(["group", "row", "label", "note", "filter", "text"], rows)
        said = f"{found.title}: {found.rows:,} rows in {found.groups:,} groups. {found.says}{stale}"
        return Result(said, _as_data(report, found, self.count), table, opens=f"check:{report.dataset}")


class Atlas(Work):
    """Draw a dataset's map: each row a point near to what it is like, in clusters that their telling words name.

    With an index the map is drawn by meaning, without one by words. PCA is done at once; UMAP parts the clusters better, and
    takes longer. The same map again is served at once.
    """

    verb = "atlas"
    effect = "compute"
    words = ("dataset",)
    examples = ("atlas tickets", "atlas tickets --method umap")
    completes = {"dataset": "datasets"}

    dataset: str = Field(description="Which dataset")
    method: Literal["pca", "umap"] = Field("pca", description="How the rows are laid out")
    rows: int = Field(100_000, ge=3, description="Draw at most so many rows, a seeded sample of them")

    def prepare(self, desk: Desk) -> Atlas:
        _with_rows(desk.workspace.datasets.get(self.dataset))
        return self

    def ready(self, desk: Desk) -> Result | None:
        from engine.quality import atlas

        found = atlas.read(atlas.place(desk.workspace, desk.workspace.datasets.get(self.dataset), self.method, self.rows))
        return mapped(found) if found else None

    def work(self, job: JobContext) -> Result:
        from engine.quality.atlas import draw

        return mapped(draw(job, job.workspace.datasets.get(self.dataset), self.method, self.rows))


class Clusters(Now):
    """Show the clusters of a dataset's map: how many rows each has, and the words that tell it apart."""

    verb = "clusters"
    words = ("dataset",)
    examples = ("clusters tickets",)
    completes = {"dataset": "datasets"}

    dataset: str = Field(description="Which dataset")

    def run(self, desk: Desk) -> Result:
        return mapped(last_map(desk.workspace, self.dataset))


def last_map(workspace: Workspace, dataset: str) -> Drawn:
    """The map of a dataset that was drawn last. Raises ``NotFound`` when there is none."""
    from engine.quality import atlas

    record = workspace.datasets.get(dataset)
    if found := atlas.last(workspace, record.name):
        return found
    raise NotFound(f"“{record.name}” has no map yet.", f"Draw it: atlas {record.name}")


def mapped(atlas: Drawn) -> Result:
    """A map as an answer: its clusters."""
    sizes = atlas.sizes()
    rows = [[str(number), f"{size:,}", name] for number, (name, size) in enumerate(zip(atlas.names, sizes, strict=True), start=1)]
    shown = f"{len(atlas):,} rows" if len(atlas) == atlas.rows else f"{len(atlas):,} of {atlas.rows:,} rows"
    said = f"{atlas.dataset}: {shown} in {len(rows)} clusters by {atlas.by} ({atlas.method}). `clusters {atlas.dataset}` opens the map."
    if atlas.by == "words":
        said += f" `index {atlas.dataset}` first makes it by meaning."
    clusters = [{"cluster": n, "rows": size, "words": name} for n, (name, size) in enumerate(zip(atlas.names, sizes, strict=True), start=1)]
    data = {
        "dataset": atlas.dataset, "fingerprint": atlas.fingerprint, "method": atlas.method, "by": atlas.by,
        "rows": atlas.rows, "points": len(atlas), "clusters": clusters,
    }  # fmt: skip
    return Result(said, data, Table(["cluster", "rows", "telling words"], rows), opens=f"map:{atlas.dataset}")


def points_by_split(atlas: Drawn, points: Any) -> dict[str, str]:
    """For each split the condition that means the rows of these points of a map."""
    from engine.quality.report import rows_by_split

    return rows_by_split((atlas.splits[atlas.split[point]], int(atlas.row[point])) for point in points)


def everywhere(by_split: dict[str, str]) -> str:
    """The one expression over all splits."""
    from engine.quality.report import joined

    return joined(by_split)


def told(report: Report) -> Result:
    """A report as an answer."""
    against = f" against {report.against}" if report.against else ""
    rows = [
        [found.key, f"{found.rows:,}", f"{found.groups:,}", found.severity, found.title, cell(found.examples[0].members[-1].text, 60)]
        for found in report.findings
    ]
    if report.findings:
        count = len(report.findings)
        said = (
            f"{report.dataset}{against}: {count} finding{'s' if count != 1 else ''} in {report.rows:,} rows. `findings {report.dataset}` opens them."
        )
    else:
        said = f"{report.dataset}{against}: nothing was found in {report.rows:,} rows."
    lines = [filter_line(report.dataset, found.where) for found in report.findings]
    short = [f"- {found.key}: `{line}`" for found, line in zip(report.findings, lines, strict=True) if len(line) <= LINE]
    if len(short) < len(lines):
        short.append(f"- A filter of many rows is too long to print: `findings {report.dataset}` on the screen offers it (f), and --json has it.")
    body = "\n".join((["To leave the rows out:", ""] if short else []) + short + (["", *report.skipped] if report.skipped else []))
    data = {
        "dataset": report.dataset, "against": report.against, "fingerprint": report.fingerprint, "rows": report.rows, "looked": report.looked,
        "seconds": report.seconds, "findings": [_as_data(report, found, SHOWN) for found in report.findings], "skipped": report.skipped,
    }  # fmt: skip
    table = Table(["finding", "rows", "groups", "weight", "what", "for example"], rows)
    return Result(said, data, table if rows else None, body.strip(), f"check:{report.dataset}")


def filter_line(dataset: str, where: str, name: str = "") -> str:
    """The line that makes the dataset without the rows that ``where`` means; under ``name``, a dataset beside it."""
    return f'filter {dataset} "NOT ({where})"' + (f" --as {name}" if name else "")


def last_report(workspace: Workspace, dataset: str) -> Report:
    """What the last check of a dataset found. Raises ``NotFound`` when there was none."""
    from engine.quality import kept

    record = workspace.datasets.get(dataset)
    if found := kept.last_report(workspace, record.name):
        return found
    raise NotFound(f"“{record.name}” has not been checked yet.", f"Do it now: check {record.name}")


def is_stale(workspace: Workspace, report: Report | Drawn) -> bool:
    """Whether the data changed after it was checked or mapped: the addresses may then mean other rows."""
    return workspace.datasets.get(report.dataset).fingerprint != report.fingerprint


def _as_data(report: Report, found: Finding, count: int) -> dict[str, Any]:
    groups = [
        {
            "score": group.score, "more": group.more,
            "rows": [{"address": m.address, "text": m.text, "label": m.label, "note": m.note, "goes": m.goes} for m in group.members],
        }
        for group in found.examples[:count]
    ]  # fmt: skip
    return {
        "finding": found.key, "kind": found.kind, "title": found.title, "severity": found.severity, "rows": found.rows, "groups": found.groups,
        "says": found.says, "where": found.where, "splits": found.splits, "filter": filter_line(report.dataset, found.where), "examples": groups,
    }  # fmt: skip


def _with_rows(record: DatasetRecord) -> None:
    if not record.rows:
        raise DataError(f"“{record.name}” has no rows.", "Add a source that has some.")
