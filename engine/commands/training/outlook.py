"""What a ``train`` line comes to while it is being filled in: recipe, rows, steps, and what is taken for what is left open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import BitternError
from engine.training.memory import check_memory
from engine.training.recipes.table import RECIPES
from engine.training.spec import measured_every, steps_in_all

if TYPE_CHECKING:
    from engine.commands.training.train import Train
    from engine.store.workspace import Workspace
    from engine.training.spec import TrainSpec

MADE_ANEW = ("pretrain", "rerank")
"""Recipes whose rows become others, in a number that only reading them tells."""
HELD = 10
"""Where there is no other split, at most one row of so many is held out."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """``says`` a sentence; ``wrong`` why it can't be trained so, empty where it can; ``filled`` what a field that is left
    open gets, by its name."""

    says: str = ""
    wrong: str = ""
    filled: dict[str, str] = field(default_factory=dict)


def outlook(workspace: Workspace, command: Train) -> Outlook:
    """What the training would be. Reads no row."""
    try:
        ready = command.chosen(workspace)
        dataset = workspace.datasets.get(ready.on)
        spec = ready.spec(dataset)
        if not command.force:
            check_memory(workspace, spec)
    except BitternError as error:
        return Outlook(wrong=f"{error.message} {error.hint}".strip())
    splits = dataset.splits
    held = min(spec.eval_rows, splits[spec.held_out] if spec.held_out else max(1, splits[spec.split] // HELD))
    whole = splits[spec.split] - (0 if spec.held_out else held)
    rows = min(spec.rows or whole, whole)
    return Outlook(_says(spec, " → ".join(dataset.columns.values()), rows, held), filled=_filled(spec, rows))


def _says(spec: TrainSpec, columns: str, rows: int, held: int) -> str:
    facts = RECIPES[spec.recipe]
    times = "once" if spec.epochs == 1 else f"{spec.epochs:g} times"
    steps = "" if spec.recipe in MADE_ANEW and not spec.max_steps else f" {steps_in_all(spec, rows):,} steps of {spec.rows_a_step} rows."
    where = f"{spec.dataset}/{spec.held_out}" if spec.held_out else f"{spec.dataset}/{spec.split} that it does not see"
    return (
        f"Recipe {spec.recipe} ({spec.method}): {facts.says}. {rows:,} rows of {spec.dataset}/{spec.split} ({columns}), {times}."
        f"{steps} Measured on {held:,} rows of {where}."
    )


def _filled(spec: TrainSpec, rows: int) -> dict[str, str]:
    """Only what can be said in a word or two."""
    told = {name: f"{getattr(spec, name):g}" for name in ("epochs", "learning_rate", "batch_size", "max_length", "eval_rows")}
    told |= {"split": spec.split, "name": spec.name, "rows": f"all {rows:,}" if spec.rows is None or spec.rows > rows else f"{rows:,}"}
    told |= {"max_steps": "none", "patience": "none" if spec.patience is None else str(spec.patience), "save_steps": "every 45 s"}
    if spec.recipe not in MADE_ANEW or spec.max_steps:
        told["eval_steps"] = str(measured_every(spec, rows))
    return told
