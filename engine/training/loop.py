"""The training itself: rows and a model from a recipe, the Trainer around them, and what comes out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, TrainerState

from engine.devices import bf16_pays, set_torch_threads, torch_device
from engine.errors import BitternError, ModelError
from engine.models.convert import trainable_folder
from engine.paths import write_json
from engine.training import checkpoints
from engine.training.memory import expect_training
from engine.training.outcome import put_in_place, tell
from engine.training.rate import Rate
from engine.training.recipes import recipe
from engine.training.reporting import Report
from engine.training.rescue import Rescue, let_go, out_of_memory
from engine.training.samples import Samples
from engine.training.spec import measured_every, steps_in_all
from engine.training.watch import WISH, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import Trainer

    from engine.jobs.context import JobContext
    from engine.results import Result
    from engine.training.recipes import Recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec
    from engine.training.watch import Ended

NEVER = 10**9
"""More steps than any training has."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves: the model, its Trainer's state (log history included) and the seconds of all attempts."""

    model: Any
    state: TrainerState
    seconds: float
    reached: int
    """The step that it went to, where ``state`` may be that of an earlier one, the best."""
    ended: Ended = ""
    """Why it ended before its last step; empty when it did not."""


def fine_tune(job: JobContext, spec: TrainSpec, gate: Callable[[TrainSpec, Prepared], dict[str, Any]] | None = None) -> Result:
    """Train, or go on from the last whole checkpoint of ``job.folder``, and put the trained model in its place.

    ``gate`` looks at the rows before anything is loaded, and raises or returns what the model's record should say.
    Raises ``BitternError``; ``Stopped`` after a checkpoint was written.
    """
    set_torch_threads(job.workspace.settings.threads)
    how = recipe(spec.recipe)
    job.progress(0, None, "step", "getting ready")
    folder = trainable_folder(job, job.workspace.models.get(spec.base))
    spec = _remembered(job, spec)
    prepared = how.prepare(job, spec, folder)
    if gate:
        prepared = replace(prepared, facts={**prepared.facts, **gate(spec, prepared)})
    trained = train_in_memory(job, spec, how, prepared, folder)
    spec = _remembered(job, spec)
    job.check()
    record = put_in_place(job, spec, how, prepared, lambda to: how.save(trained.model, prepared, to), trained.state, trained.seconds)
    return tell(spec, record, trained)


def train_in_memory(
    job: JobContext, spec: TrainSpec, how: Recipe, prepared: Prepared, folder: Path, behind: Callable[[int, float], bool] | None = None
) -> Trained:
    """Train; where memory runs out, go on from the last finished step with fewer rows in memory at once.

    ``behind`` answers a step and its held-out loss with whether the training has lost to others and may end.
    """
    while True:
        expect_training(job, spec, max(map(how.length, prepared.train)))
        try:
            return train(job, spec, how, prepared, folder, behind)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            smaller = spec.halved()
            if smaller is None:
                raise ModelError(
                    f"Memory ran out while training {spec.base}, with one row at a time.",
                    f"Try a smaller --max-length (now {spec.max_length}), --method lora, or a smaller model. What was learned is kept: resume {job.id}",
                ) from None
            # The model that failed must be gone before the next one is loaded.
            let_go(error)
        job.log(
            f"Memory ran out. Going on with batches of {smaller.batch_size} rows, {smaller.grad_accumulation} to a step:"
            f" each step still learns from {smaller.rows_a_step} rows.",
            "warning",
        )
        spec = smaller
        write_json(_batch_file(job), {name: getattr(spec, name) for name in ("batch_size", "grad_accumulation", "eval_batch_size")})


def train(
    job: JobContext, spec: TrainSpec, how: Recipe, prepared: Prepared, folder: Path, behind: Callable[[int, float], bool] | None = None
) -> Trained:
    """Run the Trainer to the end of ``spec``. Raises ``Stopped`` after a checkpoint was written."""
    root = job.folder / "checkpoints"
    root.mkdir(parents=True, exist_ok=True)
    last = checkpoints.newest(root)
    before = float((checkpoints.marker(last) or {}).get("seconds", 0.0)) if last else 0.0
    if last is not None:
        job.log(f"Going on from step {checkpoints.step_of(last)}.")
    job.progress(0, None, "step", "loading the model")
    set_seed(spec.seed)
    model = how.model(spec, folder, prepared)
    trainer = build(spec, how, prepared, model, root, resumed=last is not None)
    report, watch, rescue = Report(job, before, timed=spec.save_steps is None), Watch(job, spec, keep=keeps_best(spec), behind=behind), Rescue()
    for callback in (Rate(spec.learning_rate), report, watch, rescue, *([Samples(job, prepared, spec.samples)] if spec.samples else [])):
        trainer.add_callback(callback)
    # The model's first random numbers were drawn while it was built; dropout starts from here, however it was built.
    set_seed(spec.seed)
    if last is not None and checkpoints.step_of(last) >= steps_in_all(spec, len(prepared.train)):
        # Killed between the last step and the end: the Trainer would take one step too many.
        trainer._load_from_checkpoint(str(last))
        trainer.state = TrainerState.load_from_json(str(last / "trainer_state.json"))
        return _best(job, spec, trainer, before) if spec.patience else Trained(model, trainer.state, before, trainer.state.global_step)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            rescue.keep(trainer, report.seconds)
        raise
    if watch.wrong:
        raise watch.failed()
    if watch.ended or spec.patience:
        return _best(job, spec, trainer, report.seconds, ended=watch.ended)
    if trainer.state.global_step < trainer.state.max_steps:
        job.check()
        raise BitternError(f"The training ended at step {trainer.state.global_step} of {trainer.state.max_steps}.", "Resume the job.")
    return Trained(model, trainer.state, report.seconds, trainer.state.global_step)


def keeps_best(spec: TrainSpec) -> bool:
    """Whether each best measure is saved: where somebody waits for it, and where it is as small as an adapter."""
    return spec.patience is not None or spec.method != "full"


def _best(job: JobContext, spec: TrainSpec, trainer: Trainer, seconds: float, ended: Ended = "") -> Trained:
    """What a training leaves that keeps its best: the weights of the lowest held-out loss, if they were saved."""
    state = trainer.state
    if ended == "" and state.global_step < state.max_steps:
        job.check()
        raise BitternError(f"The training ended at step {state.global_step} of {state.max_steps}.", "Resume the job.")
    why = {
        "patience": f"The held-out loss has not fallen for {spec.patience} measures. ",
        "finish": "Stopped on request. ",
        "behind": "Stopped: behind the other trials. ",
        "": "",
    }[ended]
    folder = Path(state.best_model_checkpoint) if state.best_model_checkpoint else None
    if folder is None or checkpoints.marker(folder) is None or checkpoints.step_of(folder) == state.global_step:
        job.log(f"{why}The weights of step {state.global_step} of {state.max_steps} are kept.")
        return Trained(trainer.model, state, seconds, state.global_step, ended)
    trainer._load_from_checkpoint(str(folder))
    best = TrainerState.load_from_json(str(folder / "trainer_state.json"))
    job.log(
        f"{why}The best weights are kept: those of step {best.global_step}, held-out loss {state.best_metric:.4g}; it went to step {state.global_step}."
    )
    return Trained(trainer.model, best, seconds, state.global_step, ended)


def build(spec: TrainSpec, how: Recipe, prepared: Prepared, model: Any, root: Path, *, resumed: bool) -> Trainer:
    """The Trainer of a spec, with none of our callbacks yet. ``root`` is where its checkpoints go."""
    trainer = how.trainer(spec, prepared, model, arguments(spec, how, len(prepared.train), root, resumed=resumed))
    trainer.remove_callback(PrinterCallback)
    return trainer


def arguments(spec: TrainSpec, how: Recipe, rows: int, root: Path, *, resumed: bool) -> TrainingArguments:
    """The Trainer's arguments. GPU paths are untested here."""
    return TrainingArguments(
        output_dir=str(root),
        num_train_epochs=spec.epochs,
        max_steps=spec.max_steps or -1,
        learning_rate=spec.learning_rate,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=spec.rows_measured,
        gradient_accumulation_steps=spec.grad_accumulation,
        warmup_steps=spec.warmup,
        lr_scheduler_type=spec.scheduler,
        weight_decay=spec.weight_decay,
        bf16=bf16_pays(),
        seed=spec.seed,
        data_seed=spec.seed,
        logging_steps=1,
        # A loss that is not a number is shown as it is, not as the mean of those before it.
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=measured_every(spec, rows),
        # The measure before the first step is in the checkpoint's history already when a training goes on.
        eval_on_start=not resumed,
        save_strategy="steps",
        save_steps=spec.save_steps or NEVER,
        save_total_limit=max(2, spec.keep_checkpoints),
        include_num_input_tokens_seen="non_padding",
        remove_unused_columns=False,
        use_cpu=torch_device() == "cpu",
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",
        **how.arguments(spec),
    )


def clean(job: JobContext) -> None:
    """Remove a finished job's checkpoints: the trained model is in its place."""
    (job.folder / WISH).unlink(missing_ok=True)
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)


def _batch_file(job: JobContext) -> Path:
    return job.folder / "batch.json"


def _remembered(job: JobContext, spec: TrainSpec) -> TrainSpec:
    """The spec with the batch that an earlier attempt had to go down to."""
    try:
        found = json.loads(_batch_file(job).read_text("utf-8"))
    except FileNotFoundError:
        return spec
    return spec.model_copy(update=found)
