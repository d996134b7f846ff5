"""Commands that change a dataset: each makes a new version with its step recorded, so that `undo` takes it back."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from engine.commands.base import Desk, Field, Work
from engine.commands.data.datasets import describe
from engine.commands.naming import check_name
from engine.commands.parse import split as split_words
from engine.errors import DataError
from engine.results import Result

if TYPE_CHECKING:
    from engine.data.lineage import steps
    from engine.data.lineage.versions import Changed
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

AS = "Make a new dataset of this name instead of a new version"
EXPRESSION = "SQL over the columns, in quotes where it holds quotes"


class Change(Work):
    """A step on a whole dataset, as a job. It runs where it is: Arrow and DuckDB are no burden to a screen, and starting
    a process for each step would take longer than most of them."""

    effect = "write"
    slot = "io"
    where = "thread"
    completes: ClassVar[dict[str, str]] = {"dataset": "datasets", "others": "datasets"}

    dataset: str = Field(description="Which dataset", min_length=1)
    as_: str = Field("", description=AS)

    @abstractmethod
    def step(self, workspace: Workspace) -> steps.Step:
        """What is to be done, with everything named that it depends on. Raises ``BitternError``."""

    def prepare(self, desk: Desk) -> Self:
        from engine.data.lineage import check_step

        record = desk.workspace.datasets.get(self.dataset)
        if self.as_:
            check_name("dataset", self.as_)
            if desk.workspace.datasets.find(self.as_):
                raise DataError(f"“{self.as_}” is already a dataset.", "Choose another name with --as.")
        check_step.check(record, self.step(desk.workspace))
        return self

    def work(self, job: JobContext) -> Result:
        from engine.data.lineage import versions

        step = self.step(job.workspace)
        changed = versions.change(job.workspace, job, self.dataset, step, new=self.as_)
        if not changed.nothing:
            job.changed("datasets", changed.after.name)
        return told(job.workspace, changed, step)


class Filter(Change):
    """Keep the rows for which a SQL expression is true.

    The columns are the dataset's own, with _split and _row (counted from 0) beside them.
    """

    verb = "filter"
    words = ("dataset", "expression")
    rest = True
    raw = True
    examples = ("filter tickets \"label <> 'spam'\"", "filter tickets length(text) > 20", "filter tickets --split train amount > 100 --as large")

    expression: str = Field(description=EXPRESSION, min_length=1)
    split: str = Field("", description="In this split alone; the others stay as they are")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Filter(expression=self.expression, split=self.split)


class Map(Change):
    """Make a column by a SQL expression: a new one, or in the place of one that is there."""

    verb = "map"
    words = ("dataset", "column", "expression")
    rest = True
    raw = True
    examples = (
        "map tickets text trim(text)",
        "map tickets long length(text) > 200",
        "map tickets label \"CASE WHEN stars > 3 THEN 'good' ELSE 'bad' END\"",
    )

    column: str = Field(description="The column's name", min_length=1)
    expression: str = Field(description=EXPRESSION, min_length=1)

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Map(column=self.column, expression=self.expression)


class Rename(Change):
    """Give a column another name; what it is for (text, label, …) goes with it."""

    verb = "rename"
    words = ("dataset", "old", "new")
    examples = ("rename tickets body text",)

    old: str = Field(description="The column's name", min_length=1)
    new: str = Field(description="Its new name", min_length=1)

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Rename(old=self.old, new=self.new)


class Drop(Change):
    """Remove columns."""

    verb = "drop"
    words = ("dataset", "columns")
    rest = True
    raw = True
    examples = ("drop tickets id", "drop tickets id, created")

    columns: str = Field(description="Which columns", min_length=1)

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Drop(columns=names(self.columns, workspace.datasets.get(self.dataset)))


class Cast(Change):
    """Give a column another type. A value that does not fit is named, and nothing is changed unless you say --bad null."""

    verb = "cast"
    words = ("dataset", "column", "type")
    examples = ("cast tickets amount float", "cast tickets amount int --bad null", "cast tickets when timestamp")

    column: str = Field(description="Which column", min_length=1)
    type: str = Field(description="string, int8 to int64, float32, float64, bool, date or timestamp", min_length=1)
    bad: Literal["", "null"] = Field("", description="null leaves the cell empty where the value does not fit")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import columns, steps

        return steps.Cast(column=self.column, to=columns.type_named(self.type), bad=self.bad)


class Sample(Change):
    """Keep some rows, chosen by chance: a number of them (100), or a part (0.1 or 10%)."""

    verb = "sample"
    words = ("dataset", "amount")
    examples = ("sample tickets 1000", "sample tickets 10% --seed 7 --as tickets-small", "sample tickets 0.5 --split train")

    amount: str = Field(description="How many rows (shared among the splits by their sizes), or which part", min_length=1)
    seed: int = Field(42, ge=0, description="Which rows those are")
    split: str = Field("", description="Of this split alone; the others stay as they are")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        rows, part = amount(self.amount)
        return steps.Sample(rows=rows, part=part, seed=self.seed, split=self.split)


class Shuffle(Change):
    """Put the rows of each split in another order, by chance."""

    verb = "shuffle"
    words = ("dataset",)
    examples = ("shuffle tickets --seed 7",)

    seed: int = Field(42, ge=0, description="Which order that is")
    split: str = Field("", description="This split alone")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Shuffle(seed=self.seed, split=self.split)


class Split(Change):
    """Divide the rows anew into train, test and, if you want, validation.

    All rows are divided, whichever split they are in now; with --split, the rows of that split alone.
    """

    verb = "split"
    words = ("dataset",)
    completes: ClassVar[dict[str, str]] = {"dataset": "datasets"}
    examples = (
        "split tickets --test 0.2",
        "split tickets --test 0.1 --validation 0.1 --by label",
        "split tickets --split train --test 0 --validation 0.1",
    )

    test: float = Field(0.1, ge=0, lt=1, description="Part of the rows for testing")
    validation: float = Field(0.0, ge=0, lt=1, description="Part of the rows for validation while training")
    seed: int = Field(42, ge=0, description="Which rows those are")
    by: str = Field("", description="A column whose values each get the same part (stratified)")
    split: str = Field("", description="Divide the rows of this split alone")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        if not 0 < self.test + self.validation < 1:
            left = "to train on" if self.test + self.validation else "to divide"
            raise DataError(f"Nothing would be left {left}.", "--test and --validation together must be more than 0 and less than 1.")
        return steps.Divide(test=self.test, validation=self.validation, seed=self.seed, by=self.by, split=self.split)


class Concat(Change):
    """Put the rows of other datasets behind a dataset's own, split by split."""

    verb = "concat"
    words = ("dataset", "others")
    rest = True
    raw = True
    examples = ("concat tickets tickets-2026", "concat tickets old new --union --as all-tickets")

    others: str = Field(description="The other datasets", min_length=1)
    union: bool = Field(False, description="Where the columns differ, leave the missing ones empty")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        others = [workspace.datasets.get(name) for name in re.split(r"[\s,]+", self.others.strip(" ,"))]
        return steps.Concat(others=tuple(steps.Other(name=other.name, fingerprint=other.fingerprint) for other in others), union=self.union)


class Dedupe(Change):
    """Remove rows that are the same as an earlier one, and keep the first; splits count in their order, train before test."""

    verb = "dedupe"
    words = ("dataset",)
    examples = ("dedupe tickets", "dedupe tickets --on text")

    on: list[str] = Field([], description="Rows are the same when these columns are; all columns otherwise")
    split: str = Field("", description="In this split alone")

    def step(self, workspace: Workspace) -> steps.Step:
        from engine.data.lineage import steps

        return steps.Dedupe(on=tuple(self.on), split=self.split)


def amount(text: str) -> tuple[int, float]:
    """``1000`` as rows, ``0.1`` and ``10%`` as a part. Raises ``DataError``."""
    plain = text.strip().replace(",", "").replace("_", "")
    if re.fullmatch(r"[0-9]+", plain) and int(plain):
        return int(plain), 0.0
    if found := re.fullmatch(r"([0-9]*\.?[0-9]+)(%?)", plain):
        part = float(found[1]) / (100 if found[2] else 1)
        if 0 < part < 1:
            return 0, part
    raise DataError(f"“{text}” is no number of rows and no part of them.", "For example: 1000, 0.1 or 10%.")


def names(text: str, record: DatasetRecord) -> tuple[str, ...]:
    """Columns as a person lists them, with spaces or commas between; one with a space or a comma in its name stands in quotes."""
    if text.strip() in record.features:
        return (text.strip(),)
    found: list[str] = []
    for word in split_words(text, forgiving=True):
        found += [word.text] if word.quoted or word.text in record.features else [part for part in word.text.split(",") if part]
    return tuple(dict.fromkeys(found))


def told(workspace: Workspace, changed: Changed, step: steps.Step) -> Result:
    """What a step did, in plain words and as JSON."""
    before, after = changed.before, changed.after
    version = workspace.versions.get(after.name, after.fingerprint)
    data: dict[str, Any] = {
        "dataset": after.name, "changed": not changed.nothing, "step": step.as_json(), "version": version.number, "fingerprint": after.fingerprint,
        "parent": before.fingerprint, "rows": after.rows, "before": before.rows, "splits": after.splits, "shape": after.shape,
    }  # fmt: skip
    if changed.nothing:
        return Result(f"{after.name} is as it was: there was nothing to change.", data)
    column = data["step"]["column"] if step.kind in ("map", "cast") else ""
    made = f" “{column}” holds {after.features[column]} now." if column else ""
    gone = before.rows - after.rows
    left = "were left out" if after.name != before.name else "are gone"
    rows = f" {gone:,} of {before.rows:,} rows {left}." if gone > 0 else f" {-gone:,} rows are new." if gone < 0 else ""
    lost = [split for split in before.splits if split not in after.splits]
    rows += f" No row is left in {', '.join(lost)}." if lost and step.kind != "split" else ""
    back = f"`undo {after.name}` takes it back." if after.name == before.name else f"{before.name} is as it was."
    first = next(iter(after.splits))
    return Result(f"{describe(after)}.{made}{rows} {back}", data, opens=f"dataset:{after.name}/{first}/0")
