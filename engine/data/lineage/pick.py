"""Steps that choose rows (filter, sample, shuffle, split, dedupe): which rows of which split go where.

A plan maps each new split to pieces ``(old split, rows)``; rows are numbers in the order wanted, or ``None`` for all.
The rows themselves are copied as they lie in Arrow, so that nothing of a column's type can be lost on the way.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.data.rows import check_split, open_folder, split_folder
from engine.data.sql import ROW, SPLIT, Sql, quoted, text
from engine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pyarrow as pa

    from engine.data.lineage import steps
    from engine.data.rows import Batches
    from engine.data.shards import Pace
    from engine.store.datasets import DatasetRecord

Pieces = list[tuple[str, "np.ndarray | None"]]
Plan = dict[str, Pieces]
CHANCE = (
    "random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "now", "today", "current_date", "current_time", "current_timestamp",
    "localtime", "localtimestamp", "get_current_time", "get_current_timestamp", "transaction_timestamp", "nextval", "currval", "txid_current",
)  # fmt: skip
"""What gives another value each time it is asked."""


def whole(split: str, pieces: Pieces) -> bool:
    """Whether a split stays as it is."""
    return len(pieces) == 1 and pieces[0][0] == split and pieces[0][1] is None


def splits_of(record: DatasetRecord, split: str) -> list[str]:
    """The split that is named, or all. Raises ``NotFound``."""
    if split:
        check_split(record, split)
    return [split] if split else list(record.splits)


def check_columns(record: DatasetRecord, columns: Iterable[str]) -> None:
    """Raises ``DataError`` for a column that is not there."""
    for column in columns:
        if column not in record.features:
            near = did_you_mean(column, record.features)
            raise DataError(f"{record.name} has no column “{column}”.", near or f"Its columns are: {', '.join(record.features)}.")


def check_expression(expression: str) -> None:
    """Raises ``DataError`` for what is not one expression, or would not give the same when the lineage is replayed."""
    import duckdb

    try:
        duckdb.SQLExpression(expression)
    except duckdb.Error as error:
        said = str(error).splitlines()[0].partition(": ")[2]
        raise DataError(
            f"The expression can't be read: {said}.", "Write what is true for the rows you mean, for example: length(text) > 20"
        ) from None
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " ", expression)
    for word in re.findall(r"[a-z_]\w*(?=\s*\()|current_\w+|localtime\w*", bare.lower()):
        if word in CHANCE:
            raise DataError(
                f"{word} gives something else each time, so this step could not be done again.",
                "For rows by chance use `sample` or `shuffle`, with a seed; write a moment as timestamp '2026-01-31 12:00'.",
            )


@contextmanager
def plain_errors(record: DatasetRecord) -> Iterator[None]:
    """DuckDB's complaint about an expression, without the query that was built around it."""
    try:
        yield
    except DataError as error:
        said = re.sub(r" \(line \d+ of the query\)", "", error.message)
        if column := re.search(r'Referenced column "(.+?)" not found', said):
            check_columns(record, [column[1]])
        if function := re.search(r"Function with name \W?(\w+)\W? does not exist", said):
            raise DataError(f"There is no function “{function[1]}”.", error.hint or "SQL has length, lower, trim, round, coalesce, …") from None
        raise DataError(f"The expression can't be read: {said}", error.hint or f"The columns are: {', '.join(record.features)}.") from None


def source(record: DatasetRecord, split: str) -> str:
    """A split as SQL reads it, with the columns ``_split`` and ``_row``."""
    return f"(SELECT {text(split)} AS {SPLIT}, * FROM {quoted(record.name)}.{quoted(split)})"


def filtered(record: DatasetRecord, step: steps.Filter, pace: Pace) -> Plan:
    """The rows for which the expression is true."""
    import numpy as np

    check_expression(step.expression)
    chosen = splits_of(record, step.split)
    plan: Plan = {split: [(split, None)] for split in record.splits}
    with Sql([record]) as sql, plain_errors(record):
        for split in chosen:
            pace.check()
            found = sql.batches(f"SELECT {ROW} FROM {source(record, split)} WHERE ({step.expression}\n)", cancel=pace.token)
            parts = [np.zeros(0, np.int64)]
            for batch in found:
                pace.check()
                parts.append(batch.column(0).to_numpy(zero_copy_only=False))
            rows = np.sort(np.concatenate(parts))
            plan[split] = [(split, rows if len(rows) < record.splits[split] else None)]
    return plan


def sampled(record: DatasetRecord, step: steps.Sample) -> Plan:
    """Some rows of each split; a number of rows is shared among the splits by their sizes, none left without."""
    import numpy as np

    chosen = splits_of(record, step.split)
    sizes = {split: record.splits[split] for split in chosen}
    wanted = _shares(step.rows, sizes) if step.rows else {split: max(1, round(size * step.part)) for split, size in sizes.items()}
    plan: Plan = {split: [(split, None)] for split in record.splits}
    for split in chosen:
        if wanted[split] < sizes[split]:
            rows = _chance(step.seed, split).choice(sizes[split], wanted[split], replace=False)
            plan[split] = [(split, np.sort(rows))]
    return plan


def shuffled(record: DatasetRecord, step: steps.Shuffle) -> Plan:
    """The rows of each split in another order."""
    chosen = splits_of(record, step.split)
    return {split: [(split, _chance(step.seed, split).permutation(count) if split in chosen else None)] for split, count in record.splits.items()}


def divided(record: DatasetRecord, step: steps.Divide) -> Plan:
    """Train, validation and test of all rows (or of one split's), by chance or with the same part of each value of a column."""
    import numpy as np

    chosen = splits_of(record, step.split)
    plan: Plan = {split: [(split, None)] for split in record.splits if split not in chosen}
    counts = [record.splits[split] for split in chosen]
    groups = _values(record, step.by, chosen) if step.by else np.zeros(sum(counts), np.int64)
    parts = {"train": 1 - step.test - step.validation, "validation": step.validation, "test": step.test}
    parts = {name: part for name, part in parts.items() if part > 0}
    if taken := next((name for name in parts if name in plan), ""):
        raise DataError(f"{record.name} has a split “{taken}” already.", "Without --split, all rows are divided anew.")
    if sum(counts) < len(parts):
        raise DataError(f"{sum(counts)} rows can't be divided into {len(parts)} splits.", "Add more rows.")
    owner = _owners(groups, list(parts.values()), _chance(step.seed, "split"))
    starts = np.cumsum([0, *counts])
    for number, name in enumerate(parts):
        rows = np.flatnonzero(owner == number)
        inside = [(split, rows[(rows >= starts[n]) & (rows < starts[n + 1])] - starts[n]) for n, split in enumerate(chosen)]
        plan[name] = [(split, picked) for split, picked in inside if len(picked)]
    return plan


def deduped(record: DatasetRecord, step: steps.Dedupe, pace: Pace) -> Plan:
    """The first of each group of rows that are the same in every column asked for, in the order of the splits."""
    import numpy as np

    check_columns(record, step.on)
    chosen = splits_of(record, step.split)
    columns = ", ".join(quoted(column) for column in step.on or record.features)
    starts = np.cumsum([0, *(record.splits[split] for split in chosen)])
    rows = " UNION ALL ".join(
        f"SELECT {start} + {ROW} AS place, {columns} FROM {quoted(record.name)}.{quoted(split)}" for start, split in zip(starts, chosen, strict=False)
    )
    # Only rows whose hash comes twice are compared, so that memory goes by the duplicates and not by the rows.
    statement = (
        f"WITH every AS ({rows}), twice AS (SELECT hash({columns}) AS h FROM every GROUP BY h HAVING count(*) > 1)"
        f" SELECT place FROM (SELECT place, row_number() OVER (PARTITION BY {columns} ORDER BY place) AS n FROM every"
        f" WHERE hash({columns}) IN (SELECT h FROM twice)) WHERE n > 1"
    )
    with Sql([record]) as sql:
        gone = sql.table(statement, cancel=pace.token).column(0).to_numpy()
    keep = np.ones(starts[-1], dtype=bool)
    keep[gone] = False
    plan: Plan = {split: [(split, None)] for split in record.splits}
    for number, split in enumerate(chosen):
        kept = np.flatnonzero(keep[starts[number] : starts[number + 1]])
        plan[split] = [(split, kept if len(kept) < record.splits[split] else None)]
    return plan


def taken(batches: Batches, rows: np.ndarray, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of these numbers, in their order, ``size`` at a time: no more than that is in memory."""
    import numpy as np
    import pyarrow as pa

    starts = np.asarray(batches.starts)
    for first in range(0, len(rows), size):
        window = rows[first : first + size]
        homes = np.searchsorted(starts, window, side="right") - 1
        order = np.argsort(homes, kind="stable")
        edges = np.flatnonzero(np.diff(homes[order])) + 1
        pieces = []
        for group in np.split(order, edges):
            home = homes[group[0]]
            pieces.append(batches.batches[home].take(pa.array(window[group] - starts[home])))
        table = pa.Table.from_batches(pieces)
        if np.any(np.diff(order) < 0):
            table = table.combine_chunks().take(pa.array(np.argsort(order)))
        yield from table.to_batches()


def _chance(seed: int, split: str) -> Any:
    import numpy as np

    return np.random.default_rng([seed, *split.encode()])


def _shares(total: int, sizes: dict[str, int]) -> dict[str, int]:
    """``total`` shared by size: at least one each, never more than there is, the rest to the largest remainders."""
    every = sum(sizes.values())
    if total >= every:
        return dict(sizes)
    exact = {name: total * size / every for name, size in sizes.items()}
    shares = {name: max(1, int(share)) for name, share in exact.items()}
    for name in sorted(exact, key=lambda name: int(exact[name]) - exact[name]):
        if sum(shares.values()) < total and shares[name] < sizes[name]:
            shares[name] += 1
    return shares


def _owners(groups: np.ndarray, parts: list[float], chance: Any) -> np.ndarray:
    """For each row the number of its part: about the same part of every group, and the nearest whole number over all.

    The rows are put in order by group and, inside each group, by chance; each part takes its rows at even steps.
    """
    import numpy as np

    order = np.lexsort((chance.random(len(groups)), groups))
    owner = np.zeros(len(groups), np.int64)
    for number in range(len(parts) - 1, 0, -1):
        wanted = min(max(1, round(len(order) * parts[number] / sum(parts[: number + 1]))), len(order) - number)
        steps = np.arange(len(order) + 1) * wanted // len(order)
        mine = np.diff(steps) > 0
        owner[order[mine]] = number
        order = order[~mine]
    return owner


def _values(record: DatasetRecord, column: str, splits: list[str]) -> np.ndarray:
    """A number for each different value of a column, row by row."""
    import pyarrow as pa

    check_columns(record, [column])
    chunks = [chunk for split in splits for chunk in open_folder(split_folder(record, split)).table().column(column).chunks]
    try:
        return pa.chunked_array(chunks).dictionary_encode().combine_chunks().indices.fill_null(-1).to_numpy()  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, AttributeError):
        raise DataError(f"The values of “{column}” can't be told apart.", "Choose a column of text, numbers or truth values.") from None
