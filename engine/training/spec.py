"""What a training is: everything that decides its numbers, in one validated object."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RecipeName = Literal["sft", "dpo", "kto", "pretrain", "classify", "embed", "rerank", "tag", "multilabel", "regress", "seq2seq"]
Method = Literal["lora", "dora", "rslora", "ia3", "prompt", "full"]
Loss = Literal["sigmoid", "ipo", "hinge", "orpo"]
Init = Literal["default", "gaussian", "orthogonal", "pissa", "olora"]
Quantise = Literal["none", "8bit", "4bit"]
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
    init: Init = "default"
    quantise: Quantise = Field("none", description="Bits a weight of the frozen base, by bitsandbytes")
    virtual_tokens: int = Field(20, ge=1, description="Tokens that prompt tuning puts before each row")
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
    patience: int | None = Field(None, ge=1, description="Measures of the held-out loss without gain that end the training; the best is kept")
    samples: int = Field(0, ge=0, description="Held-out prompts that are answered at each measure")
    eval_batch_size: int | None = Field(None, ge=1, description="Held-out rows in one forward pass; as many as are trained on, at least 8")
    keep_checkpoints: int = Field(0, ge=0, description="Checkpoints that are kept, after the training too; 0 keeps what it needs")
    loss: Loss = Field("sigmoid", description="How two answers are held against each other")
    beta: float = Field(0.1, gt=0, description="How much the reference holds back; of orpo the weight of the odds")
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def is_lora(self) -> bool:
        """Whether what learns are LoRA's two matrices."""
        return self.method in ("lora", "dora", "rslora")

    @property
    def moves_base(self) -> bool:
        """Whether the adapter begins with a part of the base's weights, which the base lacks while it learns."""
        return self.is_lora and self.init in ("pissa", "olora")

    @property
    def refers(self) -> bool:
        """Whether answers are held against what the base says of them."""
        return self.recipe == "kto" or (self.recipe == "dpo" and self.loss != "orpo")

    @property
    def frozen(self) -> str:
        """The dtype of a frozen base where the method decides it; empty where the machine does.

        A base that gives a part of itself away, or whose rows DoRA measures, is not rounded: what is learnt must fit it as it was.
        """
        return {"4bit": "nf4", "8bit": "int8"}.get(self.quantise) or ("float32" if self.moves_base or self.method == "dora" else "")

    @property
    def rows_a_step(self) -> int:
        """Rows that one optimiser step sees: what must not change when memory runs short."""
        return self.batch_size * self.grad_accumulation

    @property
    def rows_measured(self) -> int:
        """Held-out rows in one forward pass."""
        return self.eval_batch_size or max(self.batch_size, 8)

    def in_use(self) -> dict[str, Any]:
        """The settings that have a say in this training, by name; those of other recipes and methods are left out."""
        idle = set() if self.is_lora else {"rank", "alpha", "dropout", "target_modules", "init"}
        idle |= set() if self.method == "prompt" else {"virtual_tokens"}
        idle |= set() if self.recipe == "dpo" else {"loss", "label_smoothing"}
        idle |= set() if self.recipe in ("dpo", "kto") else {"beta"}
        return {name: value for name, value in self.model_dump().items() if name not in idle and value not in (None, "", "none")}

    def halved(self) -> TrainSpec | None:
        """The same training with at most half the rows in memory at once, or ``None`` when that is one row already.

        The batch becomes the largest divisor of the rows of a step that is at most half of it: 8 becomes 4, 9 becomes
        3, 7 becomes 1, and each step still learns from the same rows.
        """
        if self.batch_size == 1 and self.rows_measured == 1:
            return None
        batch = max((size for size in range(1, self.batch_size // 2 + 1) if self.rows_a_step % size == 0), default=1)
        changes = {"batch_size": batch, "grad_accumulation": self.rows_a_step // batch, "eval_batch_size": max(1, self.rows_measured // 2)}
        return self.model_copy(update=changes)


def steps_in_all(spec: TrainSpec, rows: int) -> int:
    """Optimiser steps of a whole training over ``rows`` rows, counted as the Trainer counts them."""
    if spec.max_steps:
        return spec.max_steps
    batches = -(-rows // spec.batch_size)
    whole, rest = divmod(spec.epochs * -(-batches // spec.grad_accumulation), 1)
    return max(1, int(whole) + (rest > 0))


def measured_every(spec: TrainSpec, rows: int) -> int:
    """Steps between two measures of the held-out loss."""
    return spec.eval_steps or max(5, -(-steps_in_all(spec, rows) // 8))
