"""The Command that describes a run to a stranger."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.errors import BitternError, DataError, NotFound
from engine.paths import write_atomic
from engine.results import Result

if TYPE_CHECKING:
    from engine.evaluation.report import Subject
    from engine.store.jobs import JobRecord
    from engine.store.models import ModelRecord
    from engine.store.runs import RunRecord
    from engine.store.workspace import Workspace

KINDS = (".html", ".md")


class ReportCommand(Now):
    """Write a report of a run, a training or a model into one file: figures, verdict, curves, rows, settings.

    The file needs nothing else, and is HTML without scripts or Markdown, by its ending. It holds texts of up to 40 rows.
    """

    verb = "report"
    effect = "write"
    words = ("name",)
    examples = ("report smollm2-tickets --to tickets.html", "report run:3 --to run.md", "report job:7 --to training.html --force")
    completes = {"name": "models", "to": "files"}

    name: str = Field(description="A model, a run's number (or run:NUMBER), or job:NUMBER of a training or an evaluation")
    to: str = Field(description="What to write: a file that ends in .html or .md")
    force: bool = Field(False, description="Replace the file if it is there")

    def run(self, desk: Desk) -> Result:
        from engine.data.looking.export import check_target
        from engine.evaluation.report import gather
        from engine.evaluation.written import html, markdown

        file = check_target(Path(self.to), KINDS, force=self.force)
        subject = subject_of(desk.workspace, self.name)
        report = gather(subject)
        write_atomic(file, html(report) if file.suffix.lower() == ".html" else markdown(report))
        data = {
            "file": str(file), "title": report.title, "run": subject.run.id if subject.run else None,
            "job": subject.training.id if subject.training else None, "sections": [section.title for section in report.sections],
        }  # fmt: skip
        return Result(f"The report of {report.title} is in {file}. It holds texts of rows: look through it before you give it away.", data)


def subject_of(workspace: Workspace, name: str) -> Subject:
    """What a name means: ``run:3``, ``job:7``, a model, or a number, which is a run's first. Raises ``NotFound``, ``DataError``."""
    kind, _, number = name.rpartition(":")
    model = workspace.models.find(name)
    if model and not kind:
        run = next((run for run in workspace.runs.all() if run.model == name), None)
        training = _training(workspace, model)
        if run is None and training is None:
            raise NotFound(f"“{name}” was neither trained nor measured here.", f"Measure it: evaluate {name} --on DATASET")
        return _subject(workspace, model, run, training)
    if not kind and (run := next((run for run in workspace.runs.all() if run.model == name), None)):
        return _subject(workspace, None, run, None)  # measured once, and forgotten since
    numbered = number.isascii() and number.isdigit()
    if numbered and kind in ("", "run") and (run := next((run for run in workspace.runs.all() if run.id == number), None)):
        model = workspace.models.find(run.model)
        return _subject(workspace, model, run, _training(workspace, model))
    if numbered and kind in ("", "job"):
        return _of_job(workspace, workspace.jobs.get(number))
    known = [*workspace.models.names(), *(run.id for run in workspace.runs.all())]
    raise NotFound.named("run, job or model", name, known, "`runs` lists what has been measured; a training is job:NUMBER.")


def _of_job(workspace: Workspace, job: JobRecord) -> Subject:
    if job.verb == "train":
        model = workspace.models.find(str(job.command.get("name", "")))
        if model and str(model.facts.get("job")) != job.id:
            model = None  # Another training has taken the name since.
        run = next((run for run in workspace.runs.all() if model and run.model == model.name and run.created > model.created), None)
        return _subject(workspace, model, run, job)
    if job.verb == "evaluate":
        runs = [run for run in workspace.runs.all() if run.job == job.id]
        run = next((run for run in runs if run.model == job.command.get("model")), None)
        if run is None:
            raise DataError(f"Job {job.id} has no run yet: it is {job.state}.", f"Wait for it, or go on with it: resume {job.id}")
        model = workspace.models.find(run.model)
        return _subject(workspace, model, run, _training(workspace, model))
    raise DataError(f"Job {job.id} is a job of `{job.verb}`: a report is about a training or an evaluation.", "`runs` and `jobs` list them.")


def _subject(workspace: Workspace, model: ModelRecord | None, run: RunRecord | None, training: JobRecord | None) -> Subject:
    from engine.evaluation.report import Subject

    return Subject(workspace, model, run, training, _job(workspace, run.job) if run else None, _line, partial(_settings, workspace))


def _training(workspace: Workspace, model: ModelRecord | None) -> JobRecord | None:
    return _job(workspace, str(model.facts.get("job", ""))) if model else None


def _job(workspace: Workspace, number: str) -> JobRecord | None:
    try:
        return workspace.jobs.get(number) if number.isdigit() else None
    except NotFound:
        return None


def _settings(workspace: Workspace, job: JobRecord) -> dict[str, Any]:
    """What a job was set to; of a training also what its recipe filled in where it was left open."""
    from engine.commands.registry import restore
    from engine.commands.training.train import Train

    try:
        command = restore(job.verb, job.command)
        return command.spec(workspace.datasets.get(command.on)).in_use() if isinstance(command, Train) else job.command
    except (BitternError, ValueError):  # Another version of Bittern wrote it, or its dataset is gone.
        return job.command


def _line(job: JobRecord) -> str:
    from engine.commands.parse import to_line
    from engine.commands.registry import restore

    try:
        return to_line(restore(job.verb, job.command))
    except BitternError:  # Another version of Bittern wrote it.
        return job.title
