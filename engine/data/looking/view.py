"""A view: the rows of one split that fit a condition, in an order, read in windows like the whole split.

What is kept is the rows' numbers (four bytes each); without a condition or an order it is nothing at all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from engine.data import rows
from engine.data.sql import ROW, SPLIT, Sql, quoted
from engine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from engine.jobs.context import CancelToken
    from engine.store.datasets import DatasetRecord

Sort = tuple[tuple[str, bool], ...]
"""Columns to order by, the first first, each with whether it goes down."""

KEPT_BYTES = 256_000_000
"""Numbers of rows kept of the views last made, together."""

_kept: OrderedDict[tuple[Any, ...], np.ndarray[Any, Any]] = OrderedDict()
_lock = threading.Lock()


class View:
    """Made whole or not at all. Raises ``NotFound``; ``DataError`` that points into ``where``; ``Stopped`` on cancel."""

    def __init__(
        self, record: DatasetRecord, split: str, where: str = "", sort: Sequence[tuple[str, bool]] = (), cancel: CancelToken | None = None
    ) -> None:
        rows.check_split(record, split)
        self.record, self.split = record, split
        self.where, self.sort = where.strip(), tuple((column, bool(down)) for column, down in sort)
        check_columns(record, [column for column, _ in self.sort])
        #: The numbers of its rows in the split, in the view's order; ``None`` for all of them in theirs.
        self.numbers = _numbers(self, cancel) if self.where or self.sort else None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.record.splits[self.split] if self.numbers is None else len(self.numbers)

    def window(self, start: int, count: int) -> list[tuple[int, dict[str, Any]]]:
        """Rows ``start`` to ``start + count`` of the view: each row's number in the split, and its values as ``rows.window``
        gives them."""
        start = max(0, start)
        if self.numbers is None:
            return list(enumerate(rows.window(self.record, self.split, start, count), start))
        wanted: list[int] = self.numbers[start : start + max(0, count)].tolist()
        found = rows.open_folder(rows.split_folder(self.record, self.split)).take(wanted)
        return list(zip(wanted, found, strict=True))

    def number(self, position: int) -> int | None:
        """The number in the split of the row at a place of the view; ``None`` where there is none."""
        if not 0 <= position < self.rows:
            return None
        return position if self.numbers is None else int(self.numbers[position])

    def index_of(self, row: int) -> int | None:
        """Where in the view a row of the split stands; ``None`` when it is not in it."""
        if self.numbers is None:
            return row if 0 <= row < self.rows else None
        import numpy as np

        at = np.flatnonzero(self.numbers == row)
        return int(at[0]) if len(at) else None


def parse_sort(words: Sequence[str]) -> Sort:
    """``-amount`` is amount, the largest first."""
    return tuple((word.removeprefix("-"), word.startswith("-")) for word in words if word.strip("-"))


def check_columns(record: DatasetRecord, columns: Sequence[str]) -> list[str]:
    """These columns, or all where none is named. Raises ``DataError`` with near matches."""
    for column in columns:
        if column not in record.features:
            hint = did_you_mean(column, record.features) or f"It has {', '.join(record.features)}."
            raise DataError(f"“{record.name}” has no column “{column}”.", hint)
    return list(columns or record.features)


def check_where(record: DatasetRecord, split: str, where: str) -> None:
    """Raises ``DataError`` that points into ``where``, without looking at a row."""
    if where.strip():
        with Sql([record]) as sql:
            sql.plan(selecting(sql, record, split, where.strip()))


def matching(record: DatasetRecord, where: str) -> dict[str, int]:
    """How many rows of each split fit a condition, those splits that have any. Raises ``DataError``."""
    with Sql([record]) as sql:
        found = sql.table(f"SELECT {SPLIT} AS split, count(*) AS rows FROM ({selecting(sql, record, '', where)}) GROUP BY ALL").to_pylist()
    counted = {item["split"]: item["rows"] for item in found}
    return {split: counted[split] for split in record.splits if split in counted}


def check_condition(where: str) -> bool:
    """Whether ``where`` is one expression, so that nothing can stand after it."""
    import duckdb

    try:
        duckdb.SQLExpression(where)
    except duckdb.Error:
        return False
    return True


def condition(where: str) -> str:
    """``where`` as a statement takes it: on lines of its own, so that an error points into it and a comment ends."""
    return f"(\n{where}\n)"


def _numbers(view: View, cancel: CancelToken | None) -> np.ndarray[Any, Any]:
    record = view.record
    key = (record.folder, record.fingerprint, view.split, view.where, view.sort)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    import numpy as np

    with Sql([record]) as sql:
        found = sql.table(selecting(sql, record, view.split, view.where, view.sort), cancel=cancel)
    numbers: np.ndarray[Any, Any] = found.column(0).to_numpy().astype(np.uint32 if record.splits[view.split] < 2**32 else np.int64)
    with _lock:
        _kept[key] = numbers
        while len(_kept) > 1 and sum(kept.nbytes for kept in _kept.values()) > KEPT_BYTES:
            _kept.popitem(last=False)
    return numbers


def _point(sql: Sql, statement: str, where: str) -> None:
    """Let DuckDB say what is wrong with the condition, and where."""
    try:
        sql.plan(statement)
    except DataError as error:
        if error.line == ")":  # ours: the condition ended before it was whole
            last = where.splitlines()[-1]
            raise DataError("The condition is not finished.", "Something has to follow.", line=last, start=len(last), end=len(last) + 1) from None
        raise


def selecting(sql: Sql, record: DatasetRecord, split: str, where: str, sort: Sort = ()) -> str:
    """The statement that finds rows by a condition: their numbers in a split, or with no ``split`` the splits and the
    numbers in all of them. Raises ``DataError`` that points into ``where``."""
    statement = f"SELECT {ROW} FROM {quoted(record.name)}.{quoted(split)}" if split else f"SELECT {SPLIT}, {ROW} FROM {quoted(record.name)}"
    if where:
        statement += f" WHERE {condition(where)}"
        if not check_condition(where):
            _point(sql, statement, where)
            raise DataError("That is not one condition.", "For example: label = 'refund' AND amount > 10", line=where, end=len(where))
    order = [f"{quoted(column)} {'DESC' if down else 'ASC'} NULLS LAST" for column, down in sort]
    return statement + (f" ORDER BY {', '.join([*order, ROW])}" if order else "")
