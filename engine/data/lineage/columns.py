"""Steps that change columns: rename, drop, map, cast; and those that put datasets behind one another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.data.lineage.pick import check_columns, check_expression, plain_errors, source
from engine.data.rows import open_folder, plain, split_folder
from engine.data.shards import Form, feature_of
from engine.data.sql import ROW, Sql, quoted
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from engine.data.lineage import steps
    from engine.data.rows import Batches
    from engine.data.shards import Pace
    from engine.store.datasets import DatasetRecord

TYPES = {
    "string": "VARCHAR", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "float32": "FLOAT", "float64": "DOUBLE",
    "bool": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP",
}  # fmt: skip
ALSO = {
    "text": "string", "str": "string", "varchar": "string", "int": "int64", "integer": "int64", "bigint": "int64", "float": "float64",
    "double": "float64", "number": "float64", "boolean": "bool", "datetime": "timestamp", "time": "timestamp",
}  # fmt: skip


WORDS = {"bool": "true or false", "date": "a date", "timestamp": "a moment", "float32": "a number", "float64": "a number", "int64": "a whole number"}


class Column:
    """A column to be written beside the others: its values, piece by piece in the order of the rows."""

    def __init__(self, name: str, kind: pa.DataType, feature: Any, values: Iterator[pa.Array]) -> None:
        self.name, self.kind, self.feature, self.values = name, kind, feature, values


def type_named(word: str) -> str:
    """A type's own name. Raises ``DataError``."""
    name = ALSO.get(word.lower(), word.lower())
    if name not in TYPES:
        raise DataError(f"“{word}” is not a type.", f"The types are: {', '.join(TYPES)}.")
    return name


def mapped(sql: Sql, record: DatasetRecord, split: str, step: steps.Map, pace: Pace) -> Column:
    """The values of an expression. Raises ``DataError`` for one that gives more or fewer than one value a row."""
    check_expression(step.expression)
    return _computed(sql, record, split, step.column, f"({step.expression}\n)", pace)


def cast(sql: Sql, record: DatasetRecord, split: str, step: steps.Cast, pace: Pace) -> Column:
    """The values as another type. Raises ``DataError`` that names the first value that does not fit."""
    check_columns(record, [step.column])
    made, fits = _cast(step)
    wrong = f"{quoted(step.column)} IS NOT NULL AND NOT coalesce({fits}, false)"
    if not step.bad:
        found = sql.table(f"SELECT count(*) AS n, min({ROW}) AS first FROM {source(record, split)} WHERE {wrong}", cancel=pace.token).to_pylist()[0]
        if found["n"]:
            raise _does_not_fit(record, split, step, found["first"], found["n"])
    return _computed(sql, record, split, step.column, f"CASE WHEN {fits} THEN {made} END", pace)


def joined(forms: list[tuple[str, Form]], step: steps.Concat) -> Form:
    """The columns of datasets put behind one another, each named. Raises ``DataError`` that says how they differ."""
    first_name, first = forms[0]
    total = first
    for name, form in forms[1:]:
        for column, feature in form.features.items():
            if column in total.features:
                if not _same(total.schema.field(column).type, form.schema.field(column).type):
                    raise DataError(
                        f"“{column}” is {total.schema.field(column).type} in {first_name} and {form.schema.field(column).type} in {name}.",
                        f"Make them the same first: cast {name} {column} {_word(total.schema.field(column).type)}",
                    )
            else:
                total = total.with_column(column, form.schema.field(column).type, feature)
    if not step.union:
        differ = [f"{name} has no “{column}”" for name, form in forms for column in total.features if column not in form.features]
        if differ:
            raise DataError(
                f"The columns differ: {', '.join(dict.fromkeys(differ))}.", "Leave the missing ones empty with --union, or drop or rename them first."
            )
    return total


def conform(batch: pa.RecordBatch, form: Form) -> pa.RecordBatch:
    """The rows with the columns of ``form``: missing ones empty, long texts as its own kind of text."""
    import pyarrow as pa

    columns = []
    for field in form.schema:
        if field.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, field.type))
        else:
            column = batch.column(field.name)
            columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=form.schema)


def beside(batches: Batches, form: Form, column: Column) -> Iterator[pa.RecordBatch]:
    """The rows with one column new, as ``form`` (which has it) orders them."""
    import pyarrow as pa

    at = 0
    for values in column.values:
        for piece in slices(batches, at, len(values)):
            own = values.slice(0, piece.num_rows)
            values = values.slice(piece.num_rows)  # noqa: PLW2901
            columns = [own if field.name == column.name else piece.column(field.name) for field in form.schema]
            yield pa.RecordBatch.from_arrays(columns, schema=form.schema)
            at += piece.num_rows


def slices(batches: Batches, start: int, count: int) -> Iterator[pa.RecordBatch]:
    """The rows from ``start`` on, as pieces of the batches they lie in."""
    from bisect import bisect_right

    at, end = start, min(batches.rows, start + count)
    while at < end:
        number = bisect_right(batches.starts, at) - 1
        piece = batches.batches[number].slice(at - batches.starts[number], end - at)
        yield piece
        at += piece.num_rows


def _computed(sql: Sql, record: DatasetRecord, split: str, name: str, expression: str, pace: Pace) -> Column:
    statement = f"SELECT {ROW}, {expression} AS value FROM {source(record, split)}"
    with plain_errors(record):
        kind = sql.table(f"{statement} LIMIT 0").schema.field("value").type
    kind = _lasting(kind, expression, name)
    return Column(name, kind, feature_of(kind), _in_order(sql, statement, record.splits[split], kind, name, pace))


def _in_order(sql: Sql, statement: str, rows: int, kind: pa.DataType, name: str, pace: Pace) -> Iterator[pa.Array]:
    """The values by row. A window function hands them out in another order: then they are sorted first."""
    import numpy as np

    at = 0
    for ordered in (statement, f"{statement} ORDER BY {ROW}"):
        waiting = _from(sql.batches(ordered, cancel=pace.token), at)
        for batch in waiting:
            pace.check()
            if not np.array_equal(batch.column(0).to_numpy(zero_copy_only=False), np.arange(at, at + batch.num_rows)):
                break
            yield _converted(batch.column(1), kind, name)
            at += batch.num_rows
        else:
            if at == rows:
                return
    raise DataError("The expression does not give one value for each row.", "Use functions of one row; for lists inside a row, list functions.")


def _from(batches: Iterator[pa.RecordBatch], start: int) -> Iterator[pa.RecordBatch]:
    """Without the first ``start`` rows."""
    for batch in batches:
        if start < batch.num_rows:
            yield batch.slice(start)
        start = max(0, start - batch.num_rows)


def _lasting(kind: pa.DataType, expression: str, name: str) -> pa.DataType:
    """The type that a column of ``kind`` is stored as. Raises ``DataError`` where there is none."""
    import pyarrow as pa

    kind = _plain_type(kind)
    if pa.types.is_decimal(kind) and "decimal" not in expression.lower():
        # DuckDB reads 1.5 as a decimal; people and models mean a number.
        return pa.float64() if kind.scale else pa.int64()
    said = "nothing but empty cells" if pa.types.is_null(kind) else ""
    try:
        feature_of(kind)
    except ValueError:
        said = f"values of the type {kind}"
    if said:
        raise DataError(f"“{name}” would hold {said}, which has no type to keep.", "Say which type you mean: CAST(… AS VARCHAR).")
    return kind


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Choices as what they choose from, and the items of lists by the name that ``datasets`` gives them."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return pa.struct([pa.field(field.name, _plain_type(field.type)) for field in fields])
    return kind


def _converted(values: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    import pyarrow as pa

    try:
        return values if values.type == kind else values.cast(kind)
    except pa.ArrowInvalid as error:
        raise DataError(f"“{name}”: {error}.", "Say which type you mean, for example CAST(… AS DOUBLE).") from None


def _cast(step: steps.Cast) -> tuple[str, str]:
    """The SQL of the new value, and of whether the old one fits without a loss."""
    column, kind = quoted(step.column), TYPES[step.to]
    made = f"TRY_CAST({column} AS {kind})"
    fits = f"{made} IS NOT NULL"
    if "INT" in kind:
        # DuckDB rounds 2.5 to 3: a loss that nobody asked for.
        fits += f" AND coalesce(TRY_CAST({column} AS DOUBLE) = TRY_CAST({made} AS DOUBLE), true)"
    elif kind == "BOOLEAN":
        fits += f" AND coalesce(TRY_CAST(CAST({column} AS VARCHAR) AS DOUBLE) IN (0, 1), true)"
    return made, fits


def _does_not_fit(record: DatasetRecord, split: str, step: steps.Cast, row: int, count: int) -> DataError:
    value = open_folder(split_folder(record, split)).window(row, 1)[0][step.column]
    said = str(plain(value))
    said = said if len(said) <= 60 else f"{said[:59]}…"
    others = f" {count:,} values of {split} don't fit." if count > 1 else ""
    return DataError(
        f"“{said}” in {record.name}/{split}/{row}, column {step.column}, is not {WORDS.get(step.to, step.to)}.{others}",
        f"Leave the cell empty instead: cast {record.name} {step.column} {step.to} --bad null. Or mend it: edit {record.name}/{split}/{row} {step.column} …",
    )


def _same(one: pa.DataType, other: pa.DataType) -> bool:
    import pyarrow as pa

    texts = (pa.string(), pa.large_string())
    return bool(one == other) or (one in texts and other in texts)


def _word(kind: pa.DataType) -> str:
    return next((name for name, sql in TYPES.items() if name == str(kind)), "string")


def with_roles_renamed(record: DatasetRecord, old: str, new: str) -> DatasetRecord:
    """The record with the roles of its shape on the column's new name."""
    return replace(record, columns={role: new if column == old else column for role, column in record.columns.items()})
