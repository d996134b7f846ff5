"""One small module for each recipe; what they share is this Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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

    def measure(self) -> Callable[[Any], dict[str, float]] | None:
        """What else than the loss is measured on the held-out rows."""
        ...

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        """Write the trained weights into ``folder``."""
        ...

    def kind(self, spec: TrainSpec) -> str:
        """The kind of the ModelRecord that comes out."""
        ...


def recipe(name: RecipeName) -> Recipe:
    """The recipe of that name."""
    from engine.training.recipes.classify import Classify
    from engine.training.recipes.sft import Sft

    return Sft() if name == "sft" else Classify()
