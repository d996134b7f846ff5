"""export in an order, and Parquet columns of maps."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from engine.data.looking import export
from engine.errors import DataError
from tests.engine.test_export import run
from tests.fakes.adding import Bench, every
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

rng = random.Random(3)
ROWS = [{"n": rng.randint(0, 40), "text": f"row {n}", "tag": rng.choice("abc")} for n in range(3000)]


@pytest.fixture
def long(engine: Engine) -> Engine:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    put(engine, "long", {"train": {k: v[:2500] for k, v in columns.items()}, "test": {k: v[2500:] for k, v in columns.items()}})
    return engine


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_all_splits_are_ordered_together(long: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PIECE", 700)
    run(long, f"export long {tmp_path}/o.jsonl --sort -tag,n")
    # A stable order: what is the same stays as the rows lie, by their number in their split.
    placed = [(row, at if at < 2500 else at - 2500, at >= 2500) for at, row in enumerate(ROWS)]
    found, wanted = lines(tmp_path / "o.jsonl"), sorted(placed, key=lambda item: (-ord(item[0]["tag"]), item[0]["n"], item[1]))  # type: ignore[arg-type,call-overload]
    assert [(row["tag"], row["n"]) for row in found] == [(row["tag"], row["n"]) for row, *_ in wanted]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, ROWS)), "every row once, with its own values"


def test_one_split_in_order_with_a_condition_and_columns(long: Engine, tmp_path: Path) -> None:
    told = run(long, f"export long/train {tmp_path}/o.csv --where \"tag = 'b'\" --sort -n --columns text,n")
    wanted = sorted((row for row in ROWS[:2500] if row["tag"] == "b"), key=lambda row: -int(row["n"]))  # type: ignore[call-overload]
    found = (tmp_path / "o.csv").read_text().splitlines()
    assert found[0] == '"text","n"' and found[1:] == [f'"{row["text"]}",{row["n"]}' for row in wanted]
    assert told["rows"] == len(wanted)  # type: ignore[index]
    with pytest.raises(DataError, match="no column “m”") as caught:
        say(long, f"export long {tmp_path}/p.csv --sort -m")
    assert "n" in caught.value.hint and not (tmp_path / "p.csv").exists()


def test_maps_are_lists_of_pairs(home: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts = pa.map_(pa.string(), pa.int64())
    table = pa.table({
        "counts": pa.array([[("a", 1), ("b", None)], None, []], counts),
        "deep": pa.array([{"m": [("x", [("y", 2)])]}, None, {"m": None}], pa.struct([("m", pa.map_(pa.string(), counts))])),
        "n": [1, 2, 3],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "maps.parquet")
    with pa.OSFile(str(tmp_path / "maps2.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    wanted = [
        {"counts": [{"key": "a", "value": 1}, {"key": "b", "value": None}], "deep": {"m": [{"key": "x", "value": [{"key": "y", "value": 2}]}]}, "n": 1},
        {"counts": None, "deep": None, "n": 2},
        {"counts": [], "deep": {"m": None}, "n": 3},
    ]  # fmt: skip
    bench = Bench(home)
    for source, more in (("maps.parquet", {}), ("maps.parquet", {"bad": "skip"}), ("maps2.arrow", {})):
        record = bench.add(tmp_path / source, test=0, **more)
        assert every(record) == wanted and "“counts”, “deep” hold maps, read as a list of pairs" in record.note, source
    assert every(bench.add(tmp_path / "maps.parquet", test=0, rows=1, name="first")) == wanted[:1]


def test_public_files_with_maps(home: Path, data: Path) -> None:
    bench = Bench(home)
    record = bench.add(data / "bad-parquet" / "data" / "nested_maps.snappy.parquet", test=0)
    assert record.rows == 6 and every(record)[0]["a"][0]["key"] == "a" and "“a” holds a map" in record.note
