"""The steps that make a new version of a dataset: values that can be written down, read back and done again."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def says(self) -> str:
        """The step in a few words, for a list."""

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class Start(_Step):
    """Where a history begins: the Command that brought the rows (``verb`` and its ``values``), or nothing known."""

    kind: Literal["start"] = "start"
    verb: str = ""
    values: dict[str, Any] = {}

    def says(self) -> str:
        return f"{self.verb} {self.values.get('source', '')}".strip() or "the rows as they were found"


class Filter(_Step):
    """Keep the rows for which a SQL expression is true."""

    kind: Literal["filter"] = "filter"
    expression: str
    split: str = ""

    def says(self) -> str:
        return f"filter {self.expression}{_in(self.split)}"


class Map(_Step):
    """A column made by a SQL expression: a new one, or in the place of one that is there."""

    kind: Literal["map"] = "map"
    column: str
    expression: str

    def says(self) -> str:
        return f"map {self.column} = {self.expression}"


class Rename(_Step):
    kind: Literal["rename"] = "rename"
    old: str
    new: str

    def says(self) -> str:
        return f"rename {self.old} to {self.new}"


class Drop(_Step):
    kind: Literal["drop"] = "drop"
    columns: tuple[str, ...]

    def says(self) -> str:
        return f"drop {', '.join(self.columns)}"


class Cast(_Step):
    """A column as another type; ``bad`` says what becomes of a value that does not fit."""

    kind: Literal["cast"] = "cast"
    column: str
    to: str
    bad: Literal["", "null"] = ""

    def says(self) -> str:
        return f"cast {self.column} to {self.to}{', empty where it does not fit' if self.bad else ''}"


class Sample(_Step):
    """Some rows, in their order: a number of them, or a part."""

    kind: Literal["sample"] = "sample"
    rows: int = 0
    part: float = 0
    seed: int = 42
    split: str = ""

    def says(self) -> str:
        return f"sample {self.rows or f'{self.part:.3g}'} (seed {self.seed}){_in(self.split)}"


class Shuffle(_Step):
    kind: Literal["shuffle"] = "shuffle"
    seed: int = 42
    split: str = ""

    def says(self) -> str:
        return f"shuffle (seed {self.seed}){_in(self.split)}"


class Divide(_Step):
    """Train, validation and test made of all rows, or of one split."""

    kind: Literal["split"] = "split"
    test: float
    validation: float = 0
    seed: int = 42
    by: str = ""
    split: str = ""

    def says(self) -> str:
        parts = f"test {self.test:.3g}" + (f", validation {self.validation:.3g}" if self.validation else "")
        return f"split {parts}{f' by {self.by}' if self.by else ''} (seed {self.seed}){_in(self.split)}"


class Other(_Step):
    """Another dataset at one of its versions."""

    name: str
    fingerprint: str

    def says(self) -> str:
        return self.name


class Concat(_Step):
    """The rows of other datasets behind its own, split by split."""

    kind: Literal["concat"] = "concat"
    others: tuple[Other, ...]
    union: bool = False

    def says(self) -> str:
        return f"concat {', '.join(other.name for other in self.others)}{' (union)' if self.union else ''}"


class Dedupe(_Step):
    """Of rows that are the same (in some columns), the first alone."""

    kind: Literal["dedupe"] = "dedupe"
    on: tuple[str, ...] = ()
    split: str = ""

    def says(self) -> str:
        on = f" on {', '.join(self.on)}" if self.on else ""
        return f"dedupe{on}{_in(self.split)}"


class Edit(_Step):
    """One cell with another value: plain JSON, or ``None`` for an empty cell."""

    kind: Literal["edit"] = "edit"
    split: str
    row: int
    column: str
    value: Any

    def says(self) -> str:
        return f"{self.kind} {self.split}/{self.row} {self.column} = {_short(self.value)}"


class Label(Edit):
    """One row's label; the column is made where it is missing."""

    kind: Literal["label"] = "label"  # type: ignore[assignment]


Step = Start | Filter | Map | Rename | Drop | Cast | Sample | Shuffle | Divide | Concat | Dedupe | Edit | Label
_any: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="kind")])


def from_json(data: dict[str, Any]) -> Step:
    """The step that :meth:`as_json` wrote. Raises ``ValueError``."""
    return _any.validate_python(data)


def fingerprint(parent: str, step: Step) -> str:
    """The name of what ``step`` makes of the version ``parent``: the same step on the same rows makes the same."""
    told = json.dumps([parent, step.as_json()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _in(split: str) -> str:
    return f" in {split}" if split else ""


def _short(value: Any) -> str:
    text = "empty" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
