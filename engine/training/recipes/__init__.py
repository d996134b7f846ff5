"""One small module for each recipe; what they share is here. ``table`` names them."""
# ruff: noqa: ARG002 -- what a recipe may do otherwise is given to it

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.training.rows import Prepared
    from engine.training.spec import RecipeName, TrainSpec


class Recipe(Protocol):
    """What differs between one kind of training and another."""

    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        """Rows as tokens, the same for the same spec. Raises ``DataError``; ``Stopped``."""
        ...

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        """The model, ready to train; random weights come from the seed that was just set. Raises ``ModelError``."""
        ...

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        """TrainingArguments of this recipe alone."""
        ...

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        """Write the trained weights into ``folder``."""
        ...

    def kind(self, spec: TrainSpec) -> str:
        """The kind of the ModelRecord that comes out."""
        ...

    def measure(self) -> Callable[[Any], dict[str, float]] | None:
        """What else than the loss is measured on the held-out rows."""
        return None

    def length(self, row: dict[str, Any]) -> int:
        """Tokens of a prepared row: rows of near-equal length share a step, and the longest comes first."""
        return len(row["input_ids"])

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        """What makes a batch of rows."""
        from engine.training.collate import Pad

        return Pad(prepared.tokenizer.pad_token_id)

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        """The Trainer, its rows in an order that the seed and the epoch alone decide (``ordered.InOrder``)."""
        from engine.training.ordered import OrderedTrainer

        return OrderedTrainer(**self.parts(prepared, model, arguments))

    def parts(self, prepared: Prepared, model: Any, arguments: TrainingArguments) -> dict[str, Any]:
        """What every Trainer of ours is made from."""
        return {
            "lengths": [self.length(row) for row in prepared.train], "model": model, "args": arguments, "train_dataset": prepared.train,
            "eval_dataset": prepared.held_out, "processing_class": prepared.tokenizer, "data_collator": self.collate(prepared),
            "compute_metrics": self.measure(),
        }  # fmt: skip


def recipe(name: RecipeName) -> Recipe:
    """The recipe of that name."""
    module, _, name_of_class = RECIPES[name].where.partition(":")
    found: Recipe = getattr(import_module(module), name_of_class)()
    return found
