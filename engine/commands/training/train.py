"""The Command that trains."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Work
from engine.commands.naming import check_name
from engine.errors import BitternError, DataError, ModelError, NotFound, Repair
from engine.store.jobs import maker
from engine.store.models import free_name
from engine.training.recipes.table import RECIPES, Preset, preset, suits
from engine.training.spec import Init, Loss, Method, Quantise, RecipeName, TrainSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext
    from engine.results import Result
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace
    from engine.training.rows import Prepared


class Train(Work):
    """Fine-tune a model on a dataset.

    A chat model learns to answer as the rows do (recipe sft: LoRA, loss on the answer and its stop token), to prefer one
    of two answers (dpo), to answer as what is marked good (kto), or to go on writing plain texts (pretrain). An encoder becomes a classifier (classify, multilabel), a tagger (tag), a regressor (regress), a
    better search encoder (embed) or a reranker (rerank); an encoder-decoder learns to write (seq2seq). The base model is
    left as it is; what was learned becomes a new model.
    What is left open gets a default that suits the recipe. A stopped training goes on from its last checkpoint, to
    the same losses. Before the first step gates are passed: the stop token is trained, rows are neither cut to pieces
    nor empty, held-out rows are not among the training rows; a red one stops the training unless --allow names it.
    """

    verb = "train"
    effect = "compute"
    words = ("base",)
    examples = ("train smollm2 --on tickets", "train smollm2 --on tickets --epochs 3 --rank 16", "train minilm --on banking77")
    completes = {"base": "models", "on": "datasets"}

    base: str = Field(description="The model to start from")
    on: str = Field(description="The dataset to learn from")
    recipe: Literal["auto", RecipeName] = Field("auto", description="What it learns; auto takes what suits the model and the rows")
    preset: Preset = Field("balanced", description="quick: 200 rows, once; thorough: up to three times as long")
    epochs: float | None = Field(None, gt=0, description="Times that every row is seen (1 to 3, by the recipe)")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many steps, whatever the epochs say")
    rows: int | None = Field(None, ge=1, description="Learn from so many rows only, drawn with the seed")
    learning_rate: float | None = Field(None, gt=0, lt=1, description="Peak learning rate")
    batch_size: int | None = Field(None, ge=1, description="Rows in one forward pass")
    grad_accumulation: int = Field(1, ge=1, description="Batches in one optimiser step")
    max_length: int | None = Field(None, ge=8, description="Longest row in tokens; a longer one loses the start of its prompt")
    method: Literal["auto", Method] = Field("auto", description="lora, dora, rslora, ia3, prompt: a small adapter; full: every weight")
    init: Init = Field("default", description="How LoRA's new weights begin; pissa, olora: with the base's main directions")
    quantise: Quantise = Field("none", description="Hold the frozen base in 8bit or 4bit (QLoRA), by bitsandbytes")
    rank: int = Field(8, ge=1, description="LoRA's rank")
    alpha: int = Field(16, ge=1, description="LoRA's alpha: the adapter is scaled by alpha / rank")
    seed: int = Field(0, ge=0, description="Decides the order of rows, dropout and new weights")
    split: str = Field("", description="The split to learn from (train, or the first)")
    eval_rows: int | None = Field(None, ge=1, description="Held-out rows that the loss is measured on")
    eval_steps: int | None = Field(None, ge=1, description="Steps between measures of the held-out loss")
    save_steps: int | None = Field(None, ge=1, description="Steps between checkpoints; left open, one about every 45 seconds")
    patience: int | None = Field(None, ge=1, description="Stop after so many measures without gain, and keep the best")
    keep_checkpoints: int = Field(0, ge=0, le=1000, description="Keep so many checkpoints when it is done, for `scrub`")
    loss: Loss = Field("sigmoid", description="dpo: how two answers are held against each other")
    beta: float = Field(0.1, gt=0, description="dpo, kto: how much the reference holds back")
    samples: int = Field(0, ge=0, le=20, description="Answer so many held-out prompts at each measure, to be read in the log (sft)")
    name: str = Field("", description="What the trained model is called (BASE-DATASET)")
    allow: list[Literal["stop", "truncated", "empty", "leak"]] = Field([], description="Gates that may be red: stop,truncated,empty,leak")
    force: bool = Field(False, description="Start even where the estimate says that it can't fit in memory")

    def title(self) -> str:
        return f"train {self.base} on {self.on}"

    def prepare(self, desk: Desk) -> Train:
        from engine.training.memory import check_memory

        ready = self.chosen(desk.workspace)
        if not self.name:
            ready = ready.model_copy(update={"name": _free_name(desk, f"{self.base}-{self.on}")})
        spec = ready.spec(desk.workspace.datasets.get(self.on))  # Says now what would be wrong later.
        if not self.force:
            check_memory(desk.workspace, spec)
        return ready

    def chosen(self, workspace: Workspace) -> Train:
        """Its recipe, method and split chosen where they were left open. Raises ``BitternError`` for what can't be trained so."""
        from engine.training import methods

        base, dataset = workspace.models.get(self.base), workspace.datasets.get(self.on)
        chosen = suits(base.kind, dataset.shape) if self.recipe == "auto" else self.recipe
        _check(chosen, base, dataset)
        split = self.split or ("train" if "train" in dataset.splits else next(iter(dataset.splits), ""))
        if split not in dataset.splits:
            raise NotFound.named("split", split, dataset.splits, f"“{dataset.name}” has {', '.join(dataset.splits)}.")
        if not dataset.splits[split]:
            raise DataError(f"“{dataset.name}/{split}” is empty: there is nothing to learn from.", "Add rows, or choose another with --split.")
        ready = self.model_copy(update={"recipe": chosen, "split": split})
        if self.method == "auto" and (base.facts.get("untrained") or base.facts.get("new_vocabulary")):
            # Random weights hold nothing that an adapter could build on, and one leaves new tokens as they are.
            ready = ready.model_copy(update={"method": "full"})
        methods.check(ready.spec(dataset))
        if self.name:
            _check_name(workspace, self.name)
        return ready

    def spec(self, dataset: DatasetRecord) -> TrainSpec:
        """The complete training: what was asked, and the recipe's defaults for the rest."""
        from engine.training.rows import held_out_split

        if self.recipe == "auto":
            raise BitternError("This training has not chosen its recipe.", f"Give --recipe: {', '.join(RECIPES)}.")
        asked: dict[str, Any] = {
            "epochs": self.epochs, "max_steps": self.max_steps, "rows": self.rows, "learning_rate": self.learning_rate,
            "batch_size": self.batch_size, "grad_accumulation": self.grad_accumulation, "max_length": self.max_length,
            "method": None if self.method == "auto" else self.method, "rank": self.rank, "alpha": self.alpha, "init": self.init, "quantise": self.quantise, "seed": self.seed,
            "split": self.split, "eval_rows": self.eval_rows, "eval_steps": self.eval_steps, "save_steps": self.save_steps,
            "patience": self.patience, "loss": self.loss, "beta": self.beta, "keep_checkpoints": self.keep_checkpoints, "samples": self.samples if RECIPES[self.recipe].writes else 0,
        }  # fmt: skip
        given = {name: value for name, value in asked.items() if value is not None}
        values = {**RECIPES[self.recipe].defaults, **preset(self.preset, self.recipe), **given}
        held_out, name = held_out_split(dataset.splits, self.split), self.name or f"{self.base}-{self.on}"
        return TrainSpec.model_validate({**values, "recipe": self.recipe, "base": self.base, "dataset": self.on, "name": name, "held_out": held_out})

    def gate(self, job: JobContext) -> Callable[[TrainSpec, Prepared], dict[str, Any]]:
        """What looks at the rows before anything is loaded. What a red gate refuses can be sent again, with the gate named."""
        from engine.commands.parse import to_line
        from engine.commands.training import gates

        def look(spec: TrainSpec, prepared: Prepared) -> dict[str, Any]:
            try:
                return gates.keep(job, spec, prepared, self.allow)
            except DataError as error:
                error.repairs = tuple(Repair(label, to_line(self.model_copy(update=values))) for label, values in error.changes)
                raise

        return look

    def work(self, job: JobContext) -> Result:
        from engine.commands.training import gates
        from engine.training.loop import clean, fine_tune

        result = fine_tune(job, self.spec(job.workspace.datasets.get(self.on)), self.gate(job))
        if not self.keep_checkpoints:
            clean(job)
        return replace(result, data={**result.data, **gates.kept(job)})


def _check(recipe: RecipeName, base: ModelRecord, dataset: DatasetRecord) -> None:
    facts = RECIPES[recipe]
    if base.kind == "tokenizer":
        raise ModelError(f"“{base.name}” is a tokenizer: there are no weights to train.", f"Make a model with it: new NAME --tokenizer {base.name}")
    if base.kind == "adapter":
        raise ModelError(f"“{base.name}” is an adapter on “{base.base}”.", f"Train its base: train {base.base} --on {dataset.name}")
    if base.kind not in facts.kinds:
        what = ": it cannot write answers" if facts.writes else ""
        able = ", ".join(name for name, other in RECIPES.items() if base.kind in other.kinds)
        wanted = f"a model of the kind {facts.kinds[0]}"
        raise ModelError(
            f"“{base.name}” is of the kind {base.kind}{what}.", f"{recipe} takes {wanted}" + (f"; with this one: --recipe {able}." if able else ".")
        )
    missing = [role for role in facts.roles if not dataset.columns.get(role)]
    if missing or dataset.shape not in (*facts.shapes, *facts.also):
        fits = suits(base.kind, dataset.shape)
        instead = f" Leave --recipe open: {fits} learns from such rows." if dataset.shape in RECIPES[fits].shapes and fits != recipe else ""
        lacks = f" and no {' or '.join(missing)} column" if missing else ""
        raise DataError(
            f"“{dataset.name}” has the shape {dataset.shape}{lacks}: its rows are not what {recipe} learns from.",
            f"{facts.needs} It has: {', '.join(dataset.features)}.{instead or _who_learns(dataset.shape)}",
        )


def _who_learns(shape: str) -> str:
    """Which kind of model learns from rows of a shape, as the end of a hint; empty where none does."""
    found = next(((name, facts) for name, facts in RECIPES.items() if shape in facts.shapes), None)
    return f" Such rows teach a model of the kind {found[1].kinds[0]} (recipe {found[0]})." if found else ""


def _check_name(workspace: Workspace, name: str) -> None:
    check_name("model", name)
    if workspace.models.find(name) is not None:
        raise BitternError(f"There is a model called “{name}” already.", "Choose another with --name.")
    if job := maker(workspace.database, "model", name):
        raise BitternError(
            f"Job {job.id}, which is {job.state}, makes a model called “{name}”.",
            f"Choose another with --name, or give that one up: cancel {job.id}",
        )


def _free_name(desk: Desk, wanted: str) -> str:
    """``wanted``, or ``wanted-2``, … when a model has that name or a waiting training will."""
    taken = set(desk.workspace.models.names())
    taken |= {
        str(job.command.get("name", ""))
        for job in desk.workspace.jobs.all()
        if job.verb in ("train", "sweep") and job.state not in ("done", "cancelled")
    }
    plain = re.sub(r"[^\w.\-]+", "-", wanted).strip("-.") or "model"
    return free_name(plain, taken)
