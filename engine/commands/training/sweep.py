"""The Command that tries settings of a training and keeps the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.commands.base import Desk, Field
from engine.commands.training.train import Train
from engine.commands.training.trials import as_data, figure, so_far, table
from engine.results import Result
from engine.training.trials import ranked

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord
    from engine.training.trials import Trial


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

        from engine.training import space
        from engine.training.sweep import sweep

        spec = self.spec(job.workspace.datasets.get(self.on))
        record, trials = sweep(job, spec, space.read(self.over, spec), self.how, self.trials, self.gate(job))
        shutil.rmtree(job.folder / "best", ignore_errors=True)
        return _told(record, trials, self.how)


def _told(record: ModelRecord, trials: list[Trial], how: str) -> Result:
    won = ranked(trials)[0]
    settings = ", ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in won.settings.items())
    summary = f"{record.name}: held-out loss {won.loss:.4f} with {settings}, the best of {len(trials)} trials"
    data = {"model": record.name, "how": how, "best": won.settings, "trials": as_data(trials)}
    return Result(summary, data, table(trials), opens=f"model:{record.name}", chart=so_far(trials))
