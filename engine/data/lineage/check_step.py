"""What can be known to fail of a step before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.data.lineage import pick, steps
from engine.data.lineage.change import check_columns_of
from engine.data.sql import ROW, Sql

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord


def check(record: DatasetRecord, step: steps.Step) -> None:
    """Raises ``BitternError`` for names that are not there and expressions that can't be read."""
    if split := getattr(step, "split", ""):
        pick.splits_of(record, split)
    match step:
        case steps.Filter() | steps.Map():
            pick.check_expression(step.expression)
            first = next(iter(record.splits))
            found = f"{ROW} FROM {pick.source(record, first)} WHERE " if isinstance(step, steps.Filter) else ""
            behind = "" if found else f" FROM {pick.source(record, first)}"
            with Sql([record]) as sql, pick.plain_errors(record):
                sql.table(f"SELECT {found}({step.expression}\n){behind} LIMIT 0")
        case steps.Cast():
            pick.check_columns(record, [step.column])
        case steps.Dedupe():
            pick.check_columns(record, step.on)
        case steps.Divide() if step.by:
            pick.check_columns(record, [step.by])
    if isinstance(step, (steps.Rename, steps.Drop, steps.Map, steps.Cast)):
        check_columns_of(record, step)
