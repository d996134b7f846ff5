"""What an evaluation is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Backend = Literal["transformers", "llamacpp"]
"""What writes the answers of a generation."""
TaskName = Literal["classification", "tagging", "multilabel", "regression", "choice", "generation", "perplexity", "retrieval"]
"""The names of ``engine.evaluation.tasks.TASKS``."""


class EvalSpec(BaseModel):
    """An evaluation, complete: the same spec on the same dataset measures the same rows in the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    dataset: str
    split: str
    task: TaskName
    rows: int = Field(200, ge=0, description="Rows to measure on, drawn with the seed; 0 for all")
    batch_size: int = Field(8, ge=1)
    max_tokens: int = Field(64, ge=1, description="Longest generated answer")
    seed: int = Field(0, ge=0)
    backend: Backend = Field("transformers", description="What writes the answers of a generation")
    options: dict[str, str] = Field(default_factory=dict, description="What a task alone needs to know, such as the columns that it reads")
