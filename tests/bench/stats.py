"""Statistics of a million rows in ten columns, beside the same queries written by hand in DuckDB over the same Arrow files.

The numbers must be the same. What only Bittern does (the guess at languages) is timed apart. Turn by turn, in one process.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS, ROUNDS = 1_000_000, 5
NUMBERS, WORDS = ("id", "stars", "amount", "score", "size"), ("label", "city", "text")
AT = "[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]"


def by_hand(table: Any, edges: dict[str, list[float]]) -> dict[str, Any]:
    """What a person who knows DuckDB would write."""
    import duckdb

    connection = duckdb.connect()
    connection.register("t", table)
    measured = {**{name: name for name in NUMBERS}, **{name: f"length({name})" for name in WORDS}, "day": "epoch(day)"}
    parts = ["count(*) AS rows", *(f"count({name}) AS n_{name}" for name in table.column_names)]
    for name, of in measured.items():
        parts += [
            f"min({of}) AS lo_{name}, max({of}) AS hi_{name}, avg({of}) AS mean_{name}, stddev({of}) AS std_{name}, quantile_cont({of}, {AT}) AS q_{name}"
        ]
    [found] = connection.sql(f"SELECT {', '.join(parts)} FROM t").to_arrow_table().to_pylist()
    bars = ", ".join(f"histogram({of}, {edges[name][1:]}) AS h_{name}" for name, of in measured.items())
    [histograms] = connection.sql(f"SELECT {bars} FROM t").to_arrow_table().to_pylist()
    top = {}
    for name in table.column_names:
        top[name] = connection.sql(f"SELECT {name}, count(*) AS n FROM t WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20").fetchall()
        found[f"d_{name}"] = connection.sql(f"SELECT count(DISTINCT {name}) FROM t").fetchall()[0][0]
    return {**found, **histograms, "top": top}


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> int:
    """Assert that every number is the same; returns how many there were."""
    from engine.data.rows import plain

    checked = 0
    for column in ours["columns"]:
        name = column["name"]
        assert column["nulls"] == theirs["rows"] - theirs[f"n_{name}"] and column["distinct"] == theirs[f"d_{name}"], name
        top = [(plain(value), count) for value, count in theirs["top"][name]]
        assert "top" not in column or [(item["value"], item["count"]) for item in column["top"]] == top, name
        checked += 2 + 2 * len(column.get("top", []))
        if figures := column.get("figures"):
            assert (figures["min"], figures["max"]) == (theirs[f"lo_{name}"], theirs[f"hi_{name}"]), name
            assert list(figures["quantiles"].values()) == theirs[f"q_{name}"], name
            for key in ("mean", "std"):  # sums of floats depend on the order that threads add in
                assert abs(figures[key] - theirs[f"{key}_{name}"]) <= 1e-9 * abs(figures[key]) + 1e-9, (name, key)
            counts = dict(theirs[f"h_{name}"])
            assert column["histogram"]["counts"] == [counts.get(edge, 0) for edge in column["histogram"]["edges"][1:]], name
            checked += 11 + len(column["histogram"]["counts"])
    return checked


def main() -> None:
    from datasets import load_from_disk

    from engine.data import language
    from engine.data.looking import stats
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.workspace import Workspace
    from tests.bench.tables import broad, dataset

    record = dataset("stats-1m", ROWS, broad)
    language.languages(["loaded once"])
    table = load_from_disk(f"{record.folder}/train").data.table
    with tempfile.TemporaryDirectory() as folder:
        job = JobContext("0", Workspace(Path(folder)), lambda event: None, CancelToken(), resumed=False)
        ours, theirs, guesses, checked = [], [], [], 0
        guess = stats.languages

        def timed(texts: list[str]) -> dict[str, Any]:
            began = time.perf_counter()
            found: dict[str, Any] = guess(texts)
            guesses.append(time.perf_counter() - began)
            return found

        stats.languages = timed  # type: ignore[assignment]
        for number in range(ROUNDS + 1):
            stats.forget(record)
            began = time.perf_counter()
            found = stats.compute(job, record)
            took = time.perf_counter() - began
            edges = {column["name"]: column["histogram"]["edges"] for column in found["columns"] if "histogram" in column}
            began = time.perf_counter()
            hand = by_hand(table, edges)
            other = time.perf_counter() - began
            checked = compare(found, hand)
            if number:  # the first round warms the disk's cache
                ours.append(took - guesses[-1])
                theirs.append(other)
        began = time.perf_counter()
        assert stats.cached(record) == found
        again = time.perf_counter() - began
    a, b = statistics.median(theirs), statistics.median(ours)
    print(f"{ROWS:,} rows, {len(found['columns'])} columns; {checked} numbers, all the same")
    print(f"by hand in DuckDB  {a * 1000:6.0f} ms")
    print(f"stats              {b * 1000:6.0f} ms   and {statistics.median(guesses) * 1000:.0f} ms for the languages of {stats.SAMPLE} texts")
    print(f"the second time    {again * 1000:6.1f} ms")
    print(f"ratio: {b / a:.2f} (at most 1)")
    shutil.rmtree(Path(record.folder) / "stats.json", ignore_errors=True)


if __name__ == "__main__":
    main()
