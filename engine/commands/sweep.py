"""The Command that tries settings of a training and keeps the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field
from engine.commands.training import Train
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec
    from engine.training.sweep import Trial


class Sweep(Train):
    """Train with many settings, one after the other, and keep the model with the lowest held-out loss.

    --over says what is tried: values with commas, or a range (drawn by its logarithm where it spans a decade). All other
    flags are those of `train` and hold for every trial. A grid tries every combination; random draws; tpe draws where
    earlier trials did well; halving draws, and stops a trial that falls behind at a measure. The sweep is one job: stopped
    or killed, it goes on inside the trial that it was in. Looking at many trials on the same held-out rows flatters the
    best of them: measure it on rows that no trial saw.
    """

    verb = "sweep"
    effect = "compute"
    examples = (
        'sweep smollm2 --on tickets --over "learning_rate=1e-4..1e-2" --how halving --trials 12',
        'sweep minilm --on banking77 --over "learning_rate=1e-5..1e-3 epochs=1,3" --trials 8',
        'sweep smollm2 --on tickets --over "rank=4,8,16 learning_rate=5e-4,1e-3,2e-3" --how grid',
    )

    over: str = Field(description="What is tried, as: learning_rate=1e-4..1e-2 rank=4,8,16")
    how: Literal["grid", "random", "tpe", "halving"] = Field("random", description="How the settings of a trial are chosen")
    trials: int = Field(8, ge=1, le=1000, description="Trials; a grid has at most as many as it has combinations")

    def title(self) -> str:
        return f"sweep {self.base} on {self.on}"

    def prepare(self, desk: Desk) -> Train:
        from engine.training import space

        ready = super().prepare(desk)
        found = space.read(self.over, ready.spec(desk.workspace.datasets.get(self.on)))
        if self.how == "grid":
            space.grid(found)
        return ready

    def work(self, job: JobContext) -> Result:
        import shutil

        from engine.commands import gates
        from engine.training import space
        from engine.training.sweep import sweep

        def gate(spec: TrainSpec, prepared: Prepared) -> dict[str, Any]:
            return gates.keep(job, spec, prepared, self.allow)

        spec = self.spec(job.workspace.datasets.get(self.on))
        record, trials = sweep(job, spec, space.read(self.over, spec), self.how, self.trials, gate)
        shutil.rmtree(job.folder / "best", ignore_errors=True)
        return _told(record, trials, self.how)


def _told(record: ModelRecord, trials: list[Trial], how: str) -> Result:
    """Best first; what was stopped and what failed after those that ended."""
    order = sorted(trials, key=lambda trial: (("done", "halved", "failed").index(trial.state), trial.loss or 0.0))
    names = list(trials[0].settings)
    rows = [
        [str(trial.number + 1), *(_figure(trial.settings[name]) for name in names), "" if trial.loss is None else f"{trial.loss:.4f}",
         str(trial.step), {"done": "", "halved": "stopped, behind", "failed": trial.why}[trial.state]]
        for trial in order
    ]  # fmt: skip
    data = {
        "model": record.name, "how": how, "best": order[0].settings,
        "trials": [
            {"trial": trial.number + 1, "settings": trial.settings, "state": trial.state, "eval_loss": trial.loss, "steps": trial.step,
             "seconds": trial.seconds, "measures": [[step, loss] for step, loss in trial.measures.items()]}
            for trial in sorted(trials, key=lambda trial: trial.number)
        ],
    }  # fmt: skip
    won = ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in order[0].settings.items())
    summary = f"{record.name}: held-out loss {order[0].loss:.4f} with {won}, the best of {len(trials)} trials"
    return Result(
        summary, data, Table(["trial", *(name.replace("_", " ") for name in names), "held-out loss", "steps", ""], rows), opens=f"model:{record.name}"
    )


def _figure(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
