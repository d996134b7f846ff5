"""The trials of a sweep, while it runs and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.errors import JobRefused
from engine.results import Chart, Result, Table
from engine.training.trials import best, kept, ranked

if TYPE_CHECKING:
    from engine.training.trials import Trial

STATES = {"done": "", "halved": "stopped, behind"}


class Trials(Now):
    """The trials of a sweep, best first, of one that still runs too; and the best so far as a chart.

    On the screen: parallel coordinates, an axis for each setting and one for the held-out loss, a line for each trial. The
    arrow keys go through the trials, and v turns to the best so far.
    """

    verb = "trials"
    words = ("job",)
    examples = ("trials 3",)
    completes = {"job": "jobs"}
    job: str = Field(description="The number of a sweep")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.jobs.get(self.job)
        if record.verb != "sweep":
            raise JobRefused(f"Job {record.id} ({record.title}) is no sweep: it has no trials.", "`jobs` lists them; `sweep` starts one.")
        trials = kept(desk.workspace.paths.job(record.id))
        won = best(trials)
        data = {
            "job": record.id, "title": record.title, "state": record.state, "how": record.command.get("how"), "best": won.number + 1 if won else None,
            "trials": as_data(trials),
        }  # fmt: skip
        if not trials:
            return Result(f"No trial of job {record.id} ({record.title}) is done yet; it is {record.state}.", data)
        told = f"the best is trial {won.number + 1}, held-out loss {won.loss:.4f}" if won else "none came to its end"
        summary = f"{len(trials)} trial{'' if len(trials) == 1 else 's'} of job {record.id} ({record.state}): {told}."
        return Result(summary, data, table(trials), opens=f"trials:{record.id}", chart=so_far(trials))


def as_data(trials: list[Trial]) -> list[dict[str, Any]]:
    """The trials as the stable JSON of ``--json``, in the order that they ran in."""
    return [
        {"trial": trial.number + 1, "settings": trial.settings, "state": trial.state, "eval_loss": trial.loss, "steps": trial.step,
         "seconds": trial.seconds, "measures": [[step, loss] for step, loss in trial.measures.items()]}
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]  # fmt: skip


def table(trials: list[Trial]) -> Table:
    """Best first; what was stopped and what failed after those that ended."""
    names = list(trials[0].settings)
    rows = [
        [str(trial.number + 1), *(figure(trial.settings[name]) for name in names), "" if trial.loss is None else f"{trial.loss:.4f}",
         str(trial.step), STATES.get(trial.state, trial.why)]
        for trial in ranked(trials)
    ]  # fmt: skip
    return Table(["trial", *(name.replace("_", " ") for name in names), "held-out loss", "steps", ""], rows)


def so_far(trials: list[Trial]) -> Chart | None:
    """The held-out loss of each trial, and the best of those that had ended by then."""
    measured = [trial for trial in sorted(trials, key=lambda trial: trial.number) if trial.loss is not None]
    lines: dict[str, list[tuple[float, float]]] = {"held-out loss of each trial": [(trial.number + 1, trial.loss or 0.0) for trial in measured]}
    lowest: list[tuple[float, float]] = [
        (trial.number + 1, won.loss or 0.0) for trial in measured if (won := best([one for one in measured if one.number <= trial.number]))
    ]
    return Chart({**lines, "best so far": lowest}) if len(measured) > 1 else None


def figure(value: object) -> str:
    """A setting in a table."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
