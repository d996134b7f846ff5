"""Which rows are learned from and which are held out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.data.rows import load_split
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord
    from engine.training.spec import TrainSpec
    from engine.training.tally import Tally


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows as tokens (``input_ids``, ``labels``), the tokenizer that made them, and what the record should say."""

    train: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    tokenizer: Any
    facts: dict[str, Any] = field(default_factory=dict)
    tally: Tally | None = None
    """What became of the training rows."""


def held_out_split(splits: dict[str, int], train: str) -> str:
    """The split to measure on: validation, test, or whatever else there is; empty when there is only one."""
    for name in ("validation", "valid", "val", "dev", "eval", "test"):
        if name != train and splits.get(name):
            return name
    return next((name for name, rows in splits.items() if name != train and rows), "")


def draw(count: int, wanted: int | None, seed: int) -> list[int]:
    """``wanted`` row numbers below ``count``, drawn with ``seed``, in order; all of them when there are no more.

    Drawn and not the first ones: a file is often sorted by its label.
    """
    if wanted is None or wanted >= count:
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), wanted))


def choose(record: DatasetRecord, spec: TrainSpec) -> tuple[Any, Any]:
    """``(train, held_out)`` as ``datasets.Dataset``. Raises ``DataError`` when nothing is left to learn from."""
    whole = load_split(record, spec.split)
    if spec.held_out:
        other = load_split(record, spec.held_out)
        return whole.select(draw(len(whole), spec.rows, spec.seed)), other.select(draw(len(other), spec.eval_rows, spec.seed))
    size = min(spec.eval_rows, max(1, len(whole) // 10))
    if len(whole) < 2:
        raise DataError(
            f"“{record.name}/{spec.split}” has {len(whole) or 'no'} row{'' if len(whole) == 1 else 's'}.",
            "Training needs at least one row to learn from and one to measure on.",
        )
    held = set(draw(len(whole), size, spec.seed))
    rest = [row for row in range(len(whole)) if row not in held]
    return whole.select([rest[at] for at in draw(len(rest), spec.rows, spec.seed)]), whole.select(sorted(held))
