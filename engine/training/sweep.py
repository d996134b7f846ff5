"""A sweep: trainings of one model on one dataset, each with other settings; the one with the lowest held-out loss is kept.

Trials are drawn by optuna. Each has a folder of its own, so that a sweep that was stopped goes on inside the trial that
it was in; what a trial draws depends on the seed, its number and the results before it, and on nothing else.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

from transformers.trainer_callback import TrainerState

from engine.devices import set_torch_threads
from engine.errors import JobError
from engine.events import JobCheckpoint, JobMetric, JobProgress
from engine.jobs.context import JobContext
from engine.models.convert import trainable_folder
from engine.paths import replace_folder, write_json
from engine.training import space as spaces
from engine.training.loop import train_in_memory
from engine.training.outcome import put_in_place
from engine.training.recipes import recipe
from engine.training.spec import measured_every, steps_in_all
from engine.training.trials import FILE, Trial, best, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Event
    from engine.store.models import ModelRecord
    from engine.training.loop import Trained
    from engine.training.recipes import Recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec

How = Literal["grid", "random", "tpe", "halving"]
ROWS = ("rows", "max_length", "seed")
"""Settings that decide which rows are learned, and as which tokens."""
DRAWS = 20
"""How often settings are drawn that no trial had; then the first that is left is taken."""
FIRST = 1
"""Measures that a trial of ``halving`` may have before it is first compared."""


def sweep(
    job: JobContext, spec: TrainSpec, space: spaces.Space, how: How, trials: int, gate: Callable[[TrainSpec, Prepared], dict[str, Any]]
) -> tuple[ModelRecord, list[Trial]]:
    """Run what is left of ``trials``, and put the best model in its place. Raises ``BitternError``, ``Stopped``."""
    set_torch_threads(job.workspace.settings.threads)
    work = recipe(spec.recipe)
    folder = trainable_folder(job, job.workspace.models.get(spec.base))
    done = kept(job.folder)
    combinations = spaces.shuffled(spaces.grid(space), spec.seed)[:trials] if how == "grid" else []
    count = len(combinations) or int(min(trials, spaces.size(space)))
    if count < trials:
        job.log(f"What is tried has {count} combinations: there are so many trials, not {trials}.")
    read: dict[tuple[Any, ...], Prepared] = {}

    def rows_of(own: TrainSpec) -> Prepared:
        """The rows of a trial, with what the gates let pass; read once for all trials that learn from the same."""
        key = tuple(getattr(own, name) for name in ROWS)
        if key not in read:
            found = work.prepare(job, own, folder)
            read[key] = replace(found, facts={**found.facts, **gate(own, found)})
        return read[key]

    for number in range(len(done), count):
        job.check()
        study, trial, settings = _ask(how, space, done, number, spec.seed, combinations)
        own = spec.model_copy(update=settings)
        prepared = rows_of(own)
        if how == "halving" and measured_every(own, len(prepared.train)) >= steps_in_all(own, len(prepared.train)):
            job.log(f"Trial {number + 1} is measured at its end alone, so it can't be halved: a smaller --eval-steps lets it.", "warning")
        words = ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items())
        job.log(f"Trial {number + 1} of {count}: {words}.")
        done.append(_run(job, number, count, own, work, prepared, folder, settings, (study, trial) if how == "halving" else None, best(done)))
        write_json(job.folder / FILE, [asdict(one) for one in done])
        shutil.rmtree(_place(job, number), ignore_errors=True)
        _tell(job, done)
    winner = best(done)
    if winner is None:
        raise JobError(f"None of {len(done)} trials came to an end: {done[-1].why}", "Narrow --over: a smaller learning rate, a shorter row.")
    won = spec.model_copy(update=winner.settings)
    prepared = rows_of(won)
    facts = {"sweep": {"trials": len(done), "how": how, **winner.settings}}
    state = TrainerState.load_from_json(str(job.folder / "best.json"))
    record = put_in_place(job, won, work, prepared, lambda to: shutil.copytree(job.folder / "best", to), state, winner.seconds, facts)
    return record, done


def _ask(
    how: How, space: spaces.Space, done: list[Trial], number: int, seed: int, combinations: list[dict[str, Any]]
) -> tuple[Any, Any, dict[str, Any]]:
    """``(study, trial, settings)`` of the next trial; the study knows those before it. What was tried is not tried again."""
    if how == "grid":
        return None, None, combinations[number]
    tried = [trial.settings for trial in done]
    for again in range(DRAWS):
        study = _study(how, space, done, seed + number + 1_000 * again)
        asked = study.ask()
        if (settings := spaces.suggest(asked, space)) not in tried:
            return study, asked, settings
    if left := spaces.untried(space, tried):
        study = _study(how, space, done, seed + number)
        study.enqueue_trial(left)
        asked = study.ask()
        settings = spaces.suggest(asked, space)
    return study, asked, settings


def _study(how: How, space: spaces.Space, done: list[Trial], seed: int) -> Any:
    """An ``optuna.Study`` that knows the trials that are done."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: Any = optuna.samplers.TPESampler(seed=seed) if how == "tpe" else optuna.samplers.RandomSampler(seed=seed)
    pruner: Any = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST) if how == "halving" else optuna.pruners.NopPruner()
    study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
    distributions: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(values.values) if isinstance(values, spaces.Choice)
        else optuna.distributions.IntDistribution(int(values.low), int(values.high), log=values.log) if values.whole
        else optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
        for name, values in space.items()
    }  # fmt: skip
    states = {"done": optuna.trial.TrialState.COMPLETE, "halved": optuna.trial.TrialState.PRUNED, "failed": optuna.trial.TrialState.FAIL}
    for trial in done:
        study.add_trial(
            optuna.trial.create_trial(
                state=states[trial.state], value=trial.loss if trial.state != "failed" else None, params=trial.settings,
                distributions=distributions, intermediate_values=trial.measures, system_attrs=trial.marks,
            )
        )  # fmt: skip
    return study


def _run(
    job: JobContext, number: int, count: int, spec: TrainSpec, how: Recipe, prepared: Prepared, folder: Path, settings: dict[str, Any],
    halving: tuple[Any, Any] | None, so_far: Trial | None,
) -> Trial:  # fmt: skip
    """Train one trial to its end, and keep its model if it is the best so far. Raises ``Stopped``."""
    own = _Own(job, number, count)
    measures: dict[int, float] = {}

    def behind(step: int, loss: float) -> bool:
        measures[step] = loss
        if halving is None:
            return False
        halving[1].report(loss, len(measures))
        return bool(halving[1].should_prune())

    try:
        trained = train_in_memory(own, spec, how, prepared, folder, behind)
    except JobError as error:  # It ran away: that is a result of these settings, and not the end of the sweep.
        job.log(f"Trial {number + 1} failed: {error}", "warning")
        return Trial(number, settings, "failed", None, 0, 0.0, why=str(error))
    losses = [entry["eval_loss"] for entry in trained.state.log_history if "eval_loss" in entry and math.isfinite(entry["eval_loss"])]
    halved = trained.ended == "behind"
    loss = min(losses[-1], trained.state.best_metric or math.inf)
    marks = dict(halving[0].trials[-1].system_attrs) if halving else {}
    found = Trial(number, settings, "halved" if halved else "done", loss, trained.state.global_step, round(trained.seconds, 1), measures, marks)
    if not halved and (so_far is None or loss < (so_far.loss or 0.0)):
        _keep(job, how, prepared, trained)
    return found


def _keep(job: JobContext, how: Recipe, prepared: Prepared, trained: Trained) -> None:
    temporary = job.folder / ".best"
    shutil.rmtree(temporary, ignore_errors=True)
    how.save(trained.model, prepared, temporary)
    replace_folder(temporary, job.folder / "best")
    trained.state.save_to_json(str(job.folder / "best.json"))


def _tell(job: JobContext, done: list[Trial]) -> None:
    last, winner = done[-1], best(done)
    if last.loss is not None:
        job.metric(last.number + 1, "trial_loss", last.loss)
    if winner is not None and winner.loss is not None:
        job.metric(last.number + 1, "best_loss", winner.loss)


def _place(job: JobContext, number: int) -> Path:
    return job.folder / "trials" / str(number)


class _Own(JobContext):
    """A trial's own folder inside its sweep; what it reports is told as a part of the sweep."""

    def __init__(self, job: JobContext, number: int, count: int) -> None:
        part = 0.0

        def emit(event: Event) -> None:
            nonlocal part
            if isinstance(event, JobProgress):
                if event.unit == "step" and event.total:
                    part = event.done / event.total
                # How far the whole sweep is: a bar that is full while eleven trials are to come tells nothing.
                job.progress(round(number + part, 3), count, "trials", f"trial {number + 1} of {count}" + (f": {event.note}" if event.note else ""))
            elif not isinstance(event, (JobMetric, JobCheckpoint)):
                job._emit(event)

        super().__init__(job.id, job.workspace, emit, job.token, resumed=job.resumed)
        self.folder = _place(job, number)
        self.folder.mkdir(parents=True, exist_ok=True)
