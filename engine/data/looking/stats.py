"""Statistics over all rows of a dataset or of one split, computed by DuckDB and kept beside the rows they are of.

Everything is one JSON object with stable keys. A bar of a histogram counts the rows with ``edges[i] < OF <= edges[i + 1]``,
the first one those at ``edges[0]`` too, where ``of`` is SQL, so that a bar and the condition that selects its rows agree.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.language import languages
from engine.data.looking.measured import columns as measured
from engine.data.looking.measured import number_of, roles
from engine.data.rows import open_folder, plain, split_folder
from engine.data.sql import ROW, SPLIT, Sql, quoted, text
from engine.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord

VERSION = 3
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
HUGE = 5_000_000
"""From this many rows on, distinct values and quantiles are estimates, and are said to be."""

BINS, TOP, VALUE, SAMPLE, TOKEN_ROWS = 20, 20, 500, 1000, 200_000
WORDY = 15
"""Characters on average from which a column of strings is text, which has a language, unless few of them are different."""


def cached(record: DatasetRecord, tokens: str = "", split: str = "") -> dict[str, Any] | None:
    """What was computed before for these very rows."""
    try:
        found: dict[str, Any] = json.loads(_file(record, tokens, split).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if (found.get("version"), found.get("fingerprint")) == (VERSION, record.fingerprint) else None


def compute(
    job: JobContext, record: DatasetRecord, tokens: str = "", count: Callable[[list[str]], list[int]] | None = None, split: str = ""
) -> dict[str, Any]:
    """The statistics of all rows, or of those of one ``split``, and keep them. ``count`` says how many tokens of the model
    ``tokens`` each text has.

    Raises ``DataError``, ``Stopped``.
    """
    found = cached(record, split=split) or _measure(job, record, split)
    write_json(_file(record, "", split), found)
    if count is not None:
        found = {**found, "tokens": tokens}
        with Sql([record]) as sql:
            for column in found["columns"]:
                if column["kind"] == "text":
                    column["tokens"] = _tokens(job, sql, _table(record, split), column, found["rows"], count)
        write_json(_file(record, tokens, split), found)
    return found


def forget(record: DatasetRecord, split: str = "") -> None:
    """Let go of what was computed for all splits together, or for one."""
    own = _file(record, "", split)
    for file in [own, *own.parent.glob(f"{own.stem}-*.json")]:
        file.unlink(missing_ok=True)


def nulls(record: DatasetRecord) -> dict[str, int]:
    """How many values of each column are empty, over all splits: from what was computed, or as Arrow counts them, from
    the headers of its batches. Raises ``DataError``."""
    if found := cached(record):
        return {column["name"]: column["nulls"] for column in found["columns"] if "part_of" not in column}
    counted = dict.fromkeys(record.features, 0)
    for split in record.splits:
        table = open_folder(split_folder(record, split)).table()
        for name in table.column_names:
            counted[name] = counted.get(name, 0) + int(table.column(name).null_count)
    return counted


def _file(record: DatasetRecord, tokens: str = "", split: str = "") -> Path:
    # A split's name has no dash, so no two of these are the same.
    own = f"stats@{split}" if split else "stats"
    return Path(record.folder) / (f"{own}-{tokens}.json" if tokens else f"{own}.json")


def _table(record: DatasetRecord, split: str) -> str:
    return f"{quoted(record.name)}.{quoted(split)}" if split else f"main.{quoted(record.name)}"


def _measure(job: JobContext, record: DatasetRecord, split: str) -> dict[str, Any]:
    began = time.monotonic()
    table, rows = _table(record, split), record.splits[split] if split else record.rows
    with Sql([record]) as sql:
        columns, left_out = measured(sql, table)
        steps, done = len(columns) + 2, 0

        def step(note: str) -> None:
            nonlocal done
            job.check()
            job.progress(done, steps, "steps", note)
            done += 1

        step("counting")
        _aggregate(job, sql, table, columns, rows)
        step("histograms")
        _histograms(job, sql, table, columns)
        for column in columns:
            step(column["name"])
            _values(job, sql, table, column, rows)
            if column["kind"] == "text":
                column["language"] = languages(_sample(job, sql, table, column["sql"], rows))
            elif column["kind"] == "chat":
                column["roles"] = roles(job, sql, table, column)
        balance = _balance(job, sql, table, record, columns, split)
    job.progress(steps, steps, "steps")
    for column in columns:
        column.pop("value")
    return {
        "version": VERSION, "dataset": record.name, "fingerprint": record.fingerprint, "split": split, "rows": rows, "splits": record.splits,
        "columns": columns, "parts_left_out": left_out, "balance": balance, "tokens": "", "seconds": round(time.monotonic() - began, 3),
    }  # fmt: skip


def _aggregate(job: JobContext, sql: Sql, table: str, columns: list[dict[str, Any]], rows: int) -> None:
    quantile = "approx_quantile" if rows >= HUGE else "quantile_cont"
    parts = ["count(*) AS rows"]
    for number, column in enumerate(columns):
        parts.append(f"count({column['sql']}) AS n{number}")
        if not column["of"]:
            continue
        of = number_of(column)
        wide = f"{of}::DOUBLE" if column["kind"] == "number" else of
        parts += [f"min({of}) AS lo{number}", f"max({of}) AS hi{number}", f"avg({wide}) AS mean{number}", f"stddev_samp({wide}) AS std{number}"]
        parts += [f"{quantile}({of}, [{', '.join(map(str, QUANTILES))}]) AS q{number}", f"count({of}) AS m{number}"]
        if column["kind"] == "time":
            parts += [f"min({column['sql']})::VARCHAR AS first{number}", f"max({column['sql']})::VARCHAR AS last{number}"]
    [found] = sql.table(f"SELECT {', '.join(parts)} FROM {table}", cancel=job.token).to_pylist()
    for number, column in enumerate(columns):
        column["nulls"] = found["rows"] - found[f"n{number}"]
        if not column["of"] or found[f"lo{number}"] is None:
            continue
        figures = {
            "min": _number(found[f"lo{number}"]),
            "max": _number(found[f"hi{number}"]),
            "mean": found[f"mean{number}"],
            "std": found[f"std{number}"],
        }
        figures["quantiles"] = {f"{at:g}": _number(value) for at, value in zip(QUANTILES, found[f"q{number}"], strict=True)}
        figures["approximate"] = rows >= HUGE
        if column["kind"] == "number" and (odd := found[f"n{number}"] - found[f"m{number}"]):
            figures["not_finite"] = odd
        if column["kind"] == "time":
            figures |= {"first": found[f"first{number}"], "last": found[f"last{number}"]}
        column["figures"] = figures


def _histograms(job: JobContext, sql: Sql, table: str, columns: list[dict[str, Any]]) -> None:
    edges = {number: _edges(column["figures"], column["kind"]) for number, column in enumerate(columns) if "figures" in column}
    if not edges:
        return
    parts = []
    for number, found in edges.items():
        whole = all(isinstance(edge, int) for edge in found) and columns[number]["kind"] != "time"
        kind = "DOUBLE" if not whole else "BIGINT" if max(map(abs, found)) < 2**63 else "HUGEINT"
        parts.append(f"histogram({number_of(columns[number])}::{kind}, {found[1:]!r}::{kind}[]) AS h{number}")
    [row] = sql.table(f"SELECT {', '.join(parts)} FROM {table}", cancel=job.token).to_pylist()
    for number, found in edges.items():
        counts = dict(row[f"h{number}"])
        columns[number]["histogram"] = {"edges": found, "counts": [int(counts.get(edge, 0)) for edge in found[1:]]}


def _edges(figures: dict[str, Any], kind: str) -> list[Any]:
    """The edges of about twenty bars, at round numbers, the first not above the smallest value. Whole numbers stay whole,
    and their bars begin with the round number: 0 to 49, 50 to 99."""
    low, high = figures["min"], figures["max"]
    step = _nice((high - low) / BINS)
    if kind == "time" or (isinstance(low, int) and isinstance(high, int)):
        width = max(1, math.ceil(step))
        if kind == "time":
            width = next((unit * math.ceil(width / unit) for unit in (86400, 3600, 60) if width >= unit), width)
            low, high = math.floor(low), math.ceil(high)
            return [n * width for n in range(-(-low // width) - 1, -(-high // width) + 1)]
        return [n * width - 1 for n in range(low // width, high // width + 2)]
    if not math.isfinite(step) or low + step == low:
        return [low - abs(low) * 1e-9 - 1e-300, high]
    digits = max(0, -math.floor(math.log10(step)))
    first = math.floor(low / step)
    edges = [round((first + n) * step, digits) for n in range(max(2, math.ceil(high / step) - first + 1))]
    # Division rounds: what the first or the last edge just misses gets a bar.
    before = [round(edges[0] - step, digits)] if edges[0] > low else []
    after = [round(edges[-1] + step, digits)] if edges[-1] < high else []
    return [*before, *edges, *after]


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, …; 1 where all values are the same."""
    if not step > 0 or not math.isfinite(step):
        return 1.0 if step == 0 else math.inf
    power = 10.0 ** math.floor(math.log10(step))
    factor: float = next(factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))
    return power * factor


def _values(job: JobContext, sql: Sql, table: str, column: dict[str, Any], rows: int) -> None:
    """How many different values there are, and which are the most frequent."""
    if column["kind"] not in ("number", "string", "boolean", "time"):
        return
    name = column["sql"]
    if rows >= HUGE and column["kind"] != "boolean":
        [found] = sql.table(f"SELECT approx_count_distinct({name}) AS n FROM {table}", cancel=job.token).to_pylist()
        column |= {"distinct": found["n"], "distinct_approximate": True}
        if found["n"] > rows // 100:
            column["kind"] = _wordy(column, rows)
            return
    statement = (
        f"WITH g AS (SELECT {name} AS v, count(*) AS n FROM {table} WHERE {name} IS NOT NULL GROUP BY ALL) "
        f"SELECT v, n, (SELECT count(*) FROM g) AS d FROM g ORDER BY n DESC, v LIMIT {TOP}"
    )
    top = sql.table(statement, cancel=job.token).to_pylist()
    column |= {"distinct": top[0]["d"] if top else 0, "distinct_approximate": False}
    column["kind"] = _wordy(column, rows)
    if top and top[0]["n"] > 1:
        column["top"] = [_top(item["v"], item["n"]) for item in top]


def _wordy(column: dict[str, Any], rows: int) -> str:
    """The kind of a column: strings that are long and seldom twice the same are text."""
    long = column.get("figures", {}).get("mean", 0) >= WORDY
    often = column["distinct"] * 20 <= rows - column["nulls"]
    return "text" if column["kind"] == "string" and long and not often else str(column["kind"])


def _top(value: Any, count: int) -> dict[str, Any]:
    value = plain(value)
    if isinstance(value, str) and len(value) > VALUE:
        return {"value": value[:VALUE], "count": count, "cut": True}
    return {"value": value, "count": count}


def _balance(job: JobContext, sql: Sql, table: str, record: DatasetRecord, columns: list[dict[str, Any]], split: str) -> dict[str, Any]:
    """How often each label stands in each split."""
    label = record.columns.get("label", "")
    column = next((item for item in columns if item["name"] == label), None)
    if column is None or column.get("distinct", 0) > 1000:
        return {}
    statement = f"SELECT {text(split) if split else SPLIT} AS s, {quoted(label)} AS v, count(*) AS n FROM {table} GROUP BY ALL ORDER BY n DESC, v"
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in ([split] if split else record.splits)}
    for item in sql.table(statement, cancel=job.token).to_pylist():
        splits[item["s"]].append({"value": plain(item["v"]), "count": item["n"], "share": item["n"] / record.splits[item["s"]]})
    return {"column": label, "splits": splits}


def _sample(job: JobContext, sql: Sql, table: str, of: str, rows: int, count: int = SAMPLE) -> list[str]:
    """Texts of a column (``of``, as SQL) from evenly spaced rows: at least ``count`` of them, or all."""
    every = max(1, rows // count)
    where = f" AND {ROW} % {every} = 0" if every > 1 else ""
    found = sql.table(f"SELECT {of} AS v FROM {table} WHERE {of} IS NOT NULL{where}", cancel=job.token)
    return list(found.column(0).to_pylist())


def _tokens(job: JobContext, sql: Sql, table: str, column: dict[str, Any], rows: int, count: Callable[[list[str]], list[int]]) -> dict[str, Any]:
    """How many tokens the texts have: of all rows, or of evenly spaced ones where there are very many."""
    import numpy as np

    texts = _sample(job, sql, table, column["sql"], rows, TOKEN_ROWS)
    found: list[int] = []
    for start in range(0, len(texts), 1000):
        job.check()
        found += count(texts[start : start + 1000])
        job.progress(len(found), len(texts), "texts", f"tokens of {column['name']}")
    if not found:
        return {"rows": 0, "of": 0}
    numbers = np.asarray(found)
    figures: dict[str, Any] = {"min": int(numbers.min()), "max": int(numbers.max()), "mean": float(numbers.mean()), "total": int(numbers.sum())}
    figures["quantiles"] = {f"{at:g}": float(np.quantile(numbers, at)) for at in QUANTILES}
    edges = _edges(figures, "number")
    inside = np.searchsorted(edges[1:], numbers, side="left")
    figures["histogram"] = {"edges": edges, "counts": np.bincount(inside, minlength=len(edges) - 1).tolist()}
    return {"rows": len(found), "of": rows - column["nulls"], **figures}


def _number(value: Any) -> Any:
    """A number as JSON has it. Decimals come from 128 bits and from DECIMAL columns."""
    if value is None or isinstance(value, (int, float)):
        return value
    return int(value) if value.as_tuple().exponent == 0 else float(value)
