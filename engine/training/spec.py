"""What a training is: everything that decides its numbers, in one validated object."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RecipeName = Literal["sft", "classify"]
Method = Literal["lora", "full"]
Scheduler = Literal["linear", "cosine", "constant_with_warmup"]


class TrainSpec(BaseModel):
    """A training, complete: two runs of one spec on one machine give the same losses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: RecipeName
    base: str = Field(min_length=1, description="The model to start from")
    dataset: str = Field(min_length=1, description="The dataset to learn from")
    name: str = Field(min_length=1, description="What the trained model is called")
    split: str = Field("train", description="The split to learn from")
    held_out: str = Field("", description="The split that the held-out loss is measured on; empty takes rows out of the training split")
    rows: int | None = Field(None, ge=1, description="Rows to learn from, drawn with the seed; all when left open")
    eval_rows: int = Field(64, ge=1, description="Held-out rows, drawn with the seed")
    epochs: float = Field(1.0, gt=0, description="Times that every row is seen")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many steps, whatever the epochs say")
    learning_rate: float = Field(1e-3, gt=0, lt=1)
    batch_size: int = Field(8, ge=1, description="Rows in one forward pass")
    grad_accumulation: int = Field(1, ge=1, description="Batches in one optimiser step")
    max_length: int = Field(512, ge=8, description="Longest row, in tokens")
    method: Method = "lora"
    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1, description="LoRA's dropout")
    target_modules: str = "all-linear"
    seed: int = Field(0, ge=0)
    eval_steps: int | None = Field(None, ge=1, description="Steps between measures of the held-out loss; about eight in all when left open")
    save_steps: int | None = Field(None, ge=1, description="Steps between checkpoints; one about every 45 seconds when left open")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps over which the learning rate rises")
    scheduler: Scheduler = "linear"
    weight_decay: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def rows_a_step(self) -> int:
        """Rows that one optimiser step sees: what must not change when memory runs short."""
        return self.batch_size * self.grad_accumulation

    def halved(self) -> TrainSpec | None:
        """The same training in half the memory for activations, or ``None`` when a batch is one row already."""
        if self.batch_size == 1:
            return None
        # An odd batch keeps no exact half; the next even one does.
        half = self.batch_size // 2
        return self.model_copy(update={"batch_size": half, "grad_accumulation": max(1, self.rows_a_step // half)})


DEFAULTS: dict[RecipeName, dict[str, object]] = {
    "sft": {"learning_rate": 1e-3, "batch_size": 8, "max_length": 512, "epochs": 1.0, "method": "lora"},
    "classify": {
        "learning_rate": 5e-4, "batch_size": 32, "max_length": 128, "epochs": 3.0, "method": "full", "warmup": 0.1, "weight_decay": 0.01,
        "eval_rows": 256,
    },
}  # fmt: skip
"""What each recipe fills in for what the person left open."""
