"""export: the rows come back as they were, and nothing is overwritten or left half."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import pytest

from engine.errors import BitternError, DataError, NotFound
from tests.fakes.follow import finish
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

MIXED = {
    "text": ['plain', 'a "quoted", and\na line', "", None, "=1+1"],
    "n": [1, None, 3, 4, 5],
    "x": [0.5, float("nan"), None, float("inf"), -1.0],
    "day": [datetime.date(2026, 1, n) for n in range(1, 6)],
    "tags": [["a"], [], ["b", "c"], None, ["é"]],
    "facts": [{"k": n} for n in range(5)],
}  # fmt: skip


@pytest.fixture
def mixed(engine: Engine) -> Engine:
    put(engine, "mixed", {"train": MIXED, "test": {name: values[:1] for name, values in MIXED.items()}})
    put(engine, "long", {"train": {"n": list(range(5000)), "label": ["ab"[n % 2] for n in range(5000)]}})
    return engine


def run(engine: Engine, line: str) -> object:
    job = finish(engine, say(engine, line).data["job"])
    assert job.state == "done", job.error
    return json.loads((engine.workspace.paths.job(job.id) / "result.json").read_text())["data"]


def test_parquet_keeps_everything(mixed: Engine, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    told = run(mixed, f"export mixed/train {tmp_path}/o.parquet")
    found = pq.read_table(tmp_path / "o.parquet").to_pydict()
    assert {**found, "x": [str(x) for x in found["x"]]} == {**MIXED, "x": [str(x) for x in MIXED["x"]]}
    assert told == {
        "file": f"{tmp_path}/o.parquet",
        "rows": 5,
        "bytes": (tmp_path / "o.parquet").stat().st_size,
        "dataset": "mixed",
        "splits": ["train"],
    }


def test_jsonl_is_read_back_alike(mixed: Engine, tmp_path: Path) -> None:
    run(mixed, f"export mixed {tmp_path}/o.jsonl")
    found = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert len(found) == 6 and found[1]["text"] == MIXED["text"][1] and found[2]["tags"] == ["b", "c"] and found[4]["facts"] == {"k": 4}
    assert [row["x"] for row in found] == [0.5, None, None, None, -1.0, 0.5], "what is no number is null in JSON"


def test_csv_is_added_again_alike(mixed: Engine, tmp_path: Path) -> None:
    run(mixed, f"export mixed/train {tmp_path}/o.csv --columns text,n,tags,day")
    import csv

    with (tmp_path / "o.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ['plain', 'a "quoted", and\na line', "", "", "=1+1"] and list(rows[0]) == ["text", "n", "tags", "day"]  # fmt: skip
    assert [row["tags"] for row in rows] == ['["a"]', "[]", '["b", "c"]', "", '["é"]'] and rows[1]["n"] == "" and rows[0]["day"] == "2026-01-01"


def test_only_what_fits_in_its_order(mixed: Engine, tmp_path: Path) -> None:
    told = run(mixed, f"export long {tmp_path}/o.jsonl --where \"label = 'b' AND n > 900\" --columns n")
    wanted = [{"n": n} for n in range(901, 5000, 2)]
    assert [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()] == wanted and told["rows"] == len(wanted)  # type: ignore[index]


def test_a_file_that_is_there_stays(mixed: Engine, tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("mine")
    with pytest.raises(DataError, match="is there already") as caught:
        say(mixed, f"export mixed {file}")
    assert "--force" in caught.value.hint and file.read_text() == "mine"
    run(mixed, f"export mixed {file} --force")
    assert file.read_text() != "mine" and [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("export mixed o.xls", "does not say", ".csv, .jsonl or .parquet"),
        ("export mixed nowhere/o.csv", "no folder", "Make it"),
        ("export mixd o.csv", "no dataset", "mixed"),
        ("export mixed/tset o.csv", "no split", "test"),
        ("export mixed o.csv --columns txet", "no column", "text"),
        ("export mixed o.csv --where txet=1", "no column", "text"),
    ],
)
def test_what_is_refused_at_once(mixed: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str, hint: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DataError, NotFound)) as caught:
        say(mixed, line)
    assert message in caught.value.message and hint in caught.value.hint and not mixed.jobs()


def test_a_failed_export_leaves_nothing(mixed: Engine, tmp_path: Path) -> None:
    put(mixed, "bytes", {"train": {"picture": [b"abc"], "n": [1]}})
    for line, message in {
        f"export bytes {tmp_path}/o.csv": "holds bytes",
        f"export bytes {tmp_path}/o.jsonl": "holds bytes",
        f'export mixed {tmp_path}/o.csv --where "n > 99"': "No row of mixed fits",
        f'export mixed {tmp_path}/o.csv --where "text::INT > 99"': "Could not convert",
    }.items():
        job = finish(mixed, say(mixed, line).data["job"], state="failed")
        assert job.state == "failed" and message in job.error["message"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("o.", ".o"))]
    run(mixed, f"export bytes {tmp_path}/o.parquet")
    run(mixed, f"export bytes {tmp_path}/o.csv --columns n")


def test_a_cancelled_export_leaves_nothing(mixed: Engine, tmp_path: Path) -> None:
    from engine.data.looking.export import export
    from engine.errors import Stopped
    from engine.jobs.context import CancelToken, JobContext

    token = CancelToken()
    job = JobContext("7", mixed.workspace, lambda event: token.ask("cancel"), token, resumed=False)
    with pytest.raises(Stopped):
        export(job, mixed.workspace.datasets.get("long"), ["train"], tmp_path / "o.csv", "", [], force=False)
    assert not [path for path in tmp_path.iterdir() if "o.csv" in path.name] and issubclass(DataError, BitternError)


def test_the_line_says_it_all() -> None:
    from engine.commands.parse import from_line, to_line

    request = from_line("export tickets o.csv --where \"label = 'b c'\" --columns a,b --force")
    assert request.where_ == "label = 'b c'" and from_line(to_line(request)) == request and "--where " in to_line(request)  # type: ignore[attr-defined]
