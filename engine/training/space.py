"""What a sweep tries: a line such as ``learning_rate=1e-4..1e-2 rank=4,8,16`` as a space of settings."""

from __future__ import annotations

import itertools
import math
import random
import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.errors import WordsError, did_you_mean
from engine.training.spec import TrainSpec

FIXED = ("recipe", "base", "dataset", "name", "split", "held_out", "eval_rows", "samples", "patience", "keep_checkpoints")
"""Settings that every trial shares, or their held-out losses could not be compared."""
WIDE = 10.0
"""A range whose end is at least so many times its beginning is drawn from by its logarithm."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Values of a setting, one of which a trial has."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A setting between two numbers, both included."""

    low: float
    high: float
    whole: bool

    @property
    def log(self) -> bool:
        return self.low > 0 and self.high / self.low >= WIDE


Space = dict[str, Choice | Range]


def read(line: str, base: TrainSpec) -> Space:
    """The space that a line says. Raises ``WordsError`` pointing at the word that is wrong."""
    space: Space = {}
    for found in re.finditer(r"\S+", line):
        try:
            name, values = _setting(found[0], base)
        except WordsError as error:
            raise WordsError(error.message, error.hint, line=line, start=found.start(), end=found.end()) from None
        space[name] = values
    if not space:
        raise WordsError("A sweep needs something to try.", 'Such as --over "learning_rate=1e-4..1e-2 rank=4,8,16".')
    return space


def _setting(word: str, base: TrainSpec) -> tuple[str, Choice | Range]:
    name, _, said = word.partition("=")
    name = name.replace("-", "_")
    able = [field for field in TrainSpec.model_fields if field not in FIXED]
    if name not in able:
        why = "is the same in every trial" if name in FIXED else "is no setting of a training"
        raise WordsError(f"“{name}” {why}.", did_you_mean(name, able) or f"One may try: {', '.join(able)}.")
    if not said:
        raise WordsError(f"“{word}” names no values.", f"Give some: {name}=VALUE,VALUE or {name}=LOW..HIGH")
    if ".." in said:
        return name, _range(name, said, base)
    return name, Choice(tuple(dict.fromkeys(_value(name, value, base) for value in said.split(",") if value)))


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination. Raises ``WordsError`` for a range, which has no end of them."""
    for name, values in space.items():
        if isinstance(values, Range):
            raise WordsError(f"A grid can't try every value of {name} from {values.low:g} to {values.high:g}.", "List some, or use --how random.")
    sets = [values.values for values in space.values() if isinstance(values, Choice)]
    return [dict(zip(space, combination, strict=True)) for combination in itertools.product(*sets)]


def size(space: Space) -> float:
    """How many combinations there are; infinite with a range of numbers that are not whole."""
    return math.prod(
        len(values.values) if isinstance(values, Choice) else values.high - values.low + 1 if values.whole else math.inf for values in space.values()
    )


def untried(space: Space, tried: list[dict[str, Any]]) -> dict[str, Any]:
    """The first combination of listed values that no trial had; empty with a range, or where all had their trial."""
    if any(isinstance(values, Range) for values in space.values()):
        return {}
    return next((one for one in grid(space) if one not in tried), {})


def shuffled(trials: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """A grid in another order: one that is cut short should not have seen the first values alone."""
    return random.Random(seed).sample(trials, len(trials))


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """The settings that an ``optuna.Trial`` tries."""
    found: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, Choice):
            found[name] = trial.suggest_categorical(name, list(values.values))
        elif values.whole:
            found[name] = trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
        else:
            found[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
    return found


def _value(name: str, said: str, base: TrainSpec) -> Any:
    try:
        return getattr(TrainSpec.model_validate({**base.model_dump(), name: said}), name)
    except ValidationError as error:
        raise WordsError(f"{name} can't be {said}: {error.errors()[0]['msg']}.", "See `train --help` for what it may be.") from None


def _range(name: str, said: str, base: TrainSpec) -> Range:
    low, high = (_value(name, end, base) for end in said.split("..", 1))
    if isinstance(low, bool) or not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        raise WordsError(f"{name} has no range: it is not a number.", f"List its values: {name}=VALUE,VALUE")
    if not low < high or not math.isfinite(high):
        raise WordsError(f"{name}={said} is no range: {low:g} is not less than {high:g}.", f"Write the smaller first: {name}={high:g}..{low:g}")
    return Range(low, high, isinstance(low, int) and isinstance(high, int))
