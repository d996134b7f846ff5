"""Commands about jobs: look, follow, pause, resume, cancel, reorder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, cast

from engine import events
from engine.commands.base import Desk, Field, Now
from engine.commands.registry import VERBS, command
from engine.errors import JobRefused
from engine.jobs import journal
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.commands.base import Work
    from engine.events import Event
    from engine.store.jobs import JobRecord


def last_progress(desk: Desk, job_id: str) -> events.JobProgress | None:
    """What a job said last about how far it is."""
    found = None
    for event, _ in journal.read(desk.workspace.paths.job(job_id) / "events.jsonl"):
        if isinstance(event, events.JobProgress):
            found = event
    return found


def percent(progress: events.JobProgress | None) -> str:
    return f"{100 * progress.done / progress.total:.0f}%" if progress and progress.total else ""


def as_data(record: JobRecord) -> dict[str, Any]:
    """A job as the stable JSON of ``--json``."""
    return {
        "job": record.id, "verb": record.verb, "title": record.title, "state": record.state, "command": record.command,
        "after": record.after, "created": record.created, "started": record.started, "finished": record.finished,
        "summary": record.summary, "error": record.error or None,
    }  # fmt: skip


class Jobs(Now):
    """List the jobs, newest first.

    States: queued, running, paused, done, failed, cancelled, and interrupted (its process died; it can be resumed).
    """

    verb = "jobs"
    words = ()
    examples = ("jobs", "jobs --state running")
    state: Literal["", "queued", "running", "paused", "done", "failed", "cancelled", "interrupted"] = Field("", description="Only jobs in this state")

    def run(self, desk: Desk) -> Result:
        found = [record for record in desk.workspace.jobs.all() if not self.state or record.state == self.state]
        if not found:
            return Result(
                "There are no jobs yet. Start one: train, evaluate, index, add, pull." if not self.state else f"No job is {self.state}.", {"jobs": []}
            )
        rows = []
        for record in found:
            how_far = percent(last_progress(desk, record.id)) if record.state in ("running", "paused", "interrupted") else ""
            rows.append([record.id, record.state, how_far, record.title, record.summary or record.error.get("message", "")])
        return Result(
            f"{len(found)} job{'' if len(found) == 1 else 's'}.",
            {"jobs": [as_data(record) for record in found]},
            Table(["job", "state", "done", "title", "result"], rows),
        )


class Job(Now):
    """Show one job: where it stands, its latest figures, its result or its error."""

    verb = "job"
    words = ("job",)
    examples = ("job 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.jobs.get(self.job)
        metrics: dict[str, events.JobMetric] = {}
        for event, _ in journal.read(desk.workspace.paths.job(self.job) / "events.jsonl"):
            if isinstance(event, events.JobMetric):
                metrics[event.name] = event
        progress = last_progress(desk, self.job)
        rows = [["state", record.state], ["started", record.started or "—"], ["finished", record.finished or "—"]]
        if progress and record.state != "done":
            of = f" of {progress.total:g}" if progress.total else ""
            rows.append(["progress", f"{progress.done:g}{of} {progress.unit} {progress.note}".strip()])
        rows += [[name, f"{metric.value:.4g} (step {metric.step})"] for name, metric in sorted(metrics.items())]
        written = samples(desk, self.job)
        peak = desk.workspace.peaks.find(self.job)
        if peak:
            rows.append(["memory", peak.says()])
        rows += [[f"sample {one['sample']}", f"{one['prompt']} → {one['answer']}"] for one in written]
        if record.error:
            rows += [["error", record.error["message"]], ["way out", record.error.get("hint", "")]]
            rows += [["try", repair["line"]] for repair in record.error.get("repairs", [])]
        data = {
            **as_data(record),
            "progress": {"done": progress.done, "total": progress.total, "unit": progress.unit} if progress else None,
            "metrics": {name: {"step": metric.step, "value": metric.value} for name, metric in metrics.items()},
            "samples": written,
            "memory": {"expected": peak.corrected, "predicted": peak.predicted, "measured": peak.measured} if peak else None,
            "folder": str(desk.workspace.paths.job(self.job)),
        }
        return Result(
            f"Job {record.id}: {record.title}: {record.state}. {record.summary}".strip(),
            data,
            Table(["", ""], rows, whole=True),
            opens=f"job:{record.id}",
        )


def samples(desk: Desk, job_id: str) -> list[dict[str, Any]]:
    """What a training wrote at its last measure: step, sample, prompt, wanted, answer."""
    file = desk.workspace.paths.job(job_id) / "samples.jsonl"
    found = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    return list({one["sample"]: one for one in found}.values())


class Logs(Now):
    """Show what a job has said: its log lines, checkpoints and changes of state."""

    verb = "logs"
    words = ("job",)
    examples = ("logs 3", "logs 3 --last 100")
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")
    last: int = Field(40, ge=1, description="How many lines")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.jobs.get(self.job)
        lines = [(event.at, text) for event, _ in journal.read(desk.workspace.paths.job(self.job) / "events.jsonl") if (text := say(event))]
        data = {"job": record.id, "lines": [{"at": at, "text": text} for at, text in lines[-self.last :]]}
        table = Table(["time (UTC)", "what"], [[at[11:19], text] for at, text in lines[-self.last :]], whole=True)
        return Result(f"Job {record.id}: {record.title}: {record.state}.", data, table, opens=f"job:{record.id}")


def say(event: Event) -> str:
    """An event as a line of a log; empty for what belongs into a curve or a bar."""
    match event:
        case events.JobLog(text=text, level=level):
            return text if level == "info" else f"{level}: {text}"
        case events.JobStarted(resumed=resumed):
            return "resumed" if resumed else "started"
        case events.JobCheckpoint(step=step):
            return f"checkpoint at step {step}"
        case events.JobPaused():
            return "paused"
        case events.JobCancelled():
            return "cancelled"
        case events.JobInterrupted():
            return "interrupted: its process is gone"
        case events.JobFinished(summary=summary):
            return f"done: {summary}"
        case events.JobFailed(message=message, hint=hint):
            return f"failed: {message} {hint}".strip()
        case _:
            return ""


class Pause(Now):
    """Stop a job at its next step, with a checkpoint; `resume` goes on from there."""

    verb = "pause"
    effect = "write"
    words = ("job",)
    examples = ("pause 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")

    def run(self, desk: Desk) -> Result:
        found = desk.workspace.jobs.get(self.job)
        if found.verb in VERBS and not cast("type[Work]", command(found.verb)).pauses:
            raise JobRefused(
                f"Job {found.id} ({found.title}) can't be paused: there would be nothing to go on from.", f"Stop it with: cancel {found.id}"
            )
        record = desk.workspace.jobs.ask(self.job, "pause")
        desk.queue.poke()
        return Result(
            f"Job {record.id} {'is paused' if record.state == 'paused' else 'stops at its next step'}. Go on with: resume {record.id}",
            as_data(record),
        )


class Resume(Now):
    """Go on with a paused, interrupted, failed or cancelled job from its last checkpoint.

    A resumed training continues with the same data order, random state and optimiser: to the same losses. It may go on
    with another learning rate or another number of steps, which its record keeps.
    """

    verb = "resume"
    effect = "compute"
    words = ("job",)
    examples = ("resume 3", "resume 3 --learning-rate 0.0002 --max-steps 400")
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")
    learning_rate: float | None = Field(None, gt=0, lt=1, description="Peak learning rate from here on (a training)")
    max_steps: int | None = Field(None, ge=1, description="Steps in all, those that are done included (a training)")

    def run(self, desk: Desk) -> Result:
        changes = {name: value for name in ("learning_rate", "max_steps") if (value := getattr(self, name)) is not None}
        if changes:
            from engine.commands.training.steering import change

            change(desk, self.job, changes)
        record = desk.queue.resume(self.job)
        return Result(f"Job {record.id} is queued again: {record.title}.", as_data(record), opens=f"job:{record.id}")


class Cancel(Now):
    """Stop a job for good. What it had finished (checkpoints, predictions) stays, so `resume` can still go on."""

    verb = "cancel"
    effect = "write"
    words = ("job",)
    examples = ("cancel 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.jobs.ask(self.job, "cancel")
        desk.queue.poke()
        return Result(f"Job {record.id} {'is cancelled' if record.state == 'cancelled' else 'stops at its next step'}.", as_data(record))


class Move(Now):
    """Move a queued job up, down or to the front of the queue."""

    verb = "move"
    effect = "write"
    words = ("job", "where")
    examples = ("move 5 front",)
    completes = {"job": "jobs"}
    job: str = Field(description="The job's number")
    where: Literal["up", "down", "front"] = Field("front", description="Where to")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.jobs.move(self.job, self.where)
        desk.queue.poke()
        return Result(f"Job {record.id} moved {'to the front' if self.where == 'front' else self.where}.", as_data(record))
