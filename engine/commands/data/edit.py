"""Commands that change one row, at once: a cell, a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.commands.base import Desk, Field, Now
from engine.commands.data.change import told
from engine.commands.data.datasets import cell
from engine.errors import DataError
from engine.events import CatalogChanged
from engine.results import Result

if TYPE_CHECKING:
    from engine.data.lineage import steps
    from engine.jobs.context import CancelToken
    from engine.store.datasets import DatasetRecord


class Edit(Now):
    """Change one cell."""

    verb = "edit"
    effect = "write"
    words = ("address", "column", "value")
    rest = True
    raw = True
    completes: ClassVar[dict[str, str]] = {"address": "datasets"}
    examples = ("edit tickets/train/17 text The printer is on fire", "edit tickets/train/17 amount --empty")

    address: str = Field(description="The row: DATASET/SPLIT/ROW")
    column: str = Field(description="The column", min_length=1)
    value: str = Field("", description="Its new value; JSON for lists and structures")
    empty: bool = Field(False, description="Leave the cell empty")
    at: str = Field("", description="The version (fingerprint) that the row's number was read from")

    def title(self) -> str:
        return f"edit {self.address}"

    def run(self, desk: Desk) -> Result:
        from engine.data import rows
        from engine.data.lineage import steps
        from engine.data.lineage.edit import column_type, read_value

        name, split, row = rows.parse_address(self.address)
        record = desk.workspace.datasets.get(name)
        rows.row(record, split, row)
        if not self.value and not self.empty:
            raise DataError("There is no value.", "Write one, or leave the cell empty with --empty.")
        value = None if self.empty else read_value(column_type(record, split, self.column), self.value, self.column)
        return _edited(desk, record, steps.Edit(split=split, row=row, column=self.column, value=value), self.at)


class Label(Now):
    """Label one row. A dataset of plain texts gets its label column with the first one."""

    verb = "label"
    effect = "write"
    words = ("address", "value")
    rest = True
    raw = True
    completes: ClassVar[dict[str, str]] = {"address": "datasets"}
    examples = ("label tickets/train/17 refund", "label notes/train/3 urgent --column priority")

    address: str = Field(description="The row: DATASET/SPLIT/ROW")
    value: str = Field(description="The label", min_length=1)
    column: str = Field("", description="The label's column; that of the dataset's shape, or “label”, otherwise")
    at: str = Field("", description="The version (fingerprint) that the row's number was read from")

    def title(self) -> str:
        return f"label {self.address}"

    def run(self, desk: Desk) -> Result:
        from engine.data import rows
        from engine.data.lineage import steps
        from engine.data.lineage.edit import column_type, read_value

        name, split, row = rows.parse_address(self.address)
        record = desk.workspace.datasets.get(name)
        rows.row(record, split, row)
        column = self.column or record.columns.get("label", "label")
        value = read_value(column_type(record, split, column), self.value, column) if column in record.features else self.value
        return _edited(desk, record, steps.Label(split=split, row=row, column=column, value=value), self.at)


class Quiet:
    """The pace of a change that answers at once: it can be stopped, and has nothing to report on the way."""

    def __init__(self, token: CancelToken) -> None:
        self.token = token

    def check(self) -> None:
        self.token.check()

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:  # noqa: ARG002
        return


def _edited(desk: Desk, record: DatasetRecord, step: steps.Edit, at: str) -> Result:
    from engine.data.lineage import versions

    changed = versions.edit(desk.workspace, Quiet(desk.cancel), record.name, step, at=at)
    if not changed.nothing:
        desk.publish(CatalogChanged(what="datasets", name=record.name))
    result = told(desk.workspace, changed, step)
    place = f"{record.name}/{step.split}/{step.row}"
    value = "empty" if step.value is None else f"“{cell(step.value)}”"
    said = f"{place}: {step.column} is {value} now. `undo {record.name}` takes it back."
    data = {**result.data, "address": place, "column": step.column, "value": step.value}
    return Result(said if not changed.nothing else f"{place}: {step.column} was so already.", data)
