"""sql and keep: what a query answers, what it must never reach, and what it leaves behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from engine.commands.parse import from_argv, from_line, to_line
from engine.data.looking.query import Query
from engine.errors import DataError, Stopped, WordsError
from tests.fakes.follow import finish
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

TRAIN = {"text": [f"row {n}" for n in range(60)], "label": ["ab"[n % 2] for n in range(60)], "n": list(range(60))}
TEST = {"text": ["last"], "label": ["a"], "n": [99]}


@pytest.fixture
def tables(engine: Engine) -> Engine:
    put(engine, "tickets", {"train": TRAIN, "test": TEST})
    put(engine, "cls-news", {"train": {"text": ["breaking"], "label": ["b"]}})
    return engine


def test_an_answer(tables: Engine) -> None:
    answer = say(tables, "sql SELECT label, count(*) AS rows, sum(n) AS s FROM tickets GROUP BY label ORDER BY label")
    assert answer.data["rows"] == [{"label": "a", "rows": 31, "s": 870 + 99}, {"label": "b", "rows": 30, "s": 900}]
    assert answer.table is not None and answer.table.columns == ["label", "rows", "s"] and not answer.data["cut"]
    assert say(tables, "sql SELECT _split, _row FROM tickets WHERE n = 99").data["rows"] == [{"_split": "test", "_row": 0}]
    assert say(tables, "sql select t.text, c.text from tickets t join cls_news c using (label) where n = 3").data["rows"] == [
        {"text": "row 3", "text_2": "breaking"}
    ]
    assert say(tables, 'sql select count(*) as c from "cls-news".train').data["rows"] == [{"c": 1}]


def test_a_long_answer_is_cut_and_says_so(tables: Engine) -> None:
    answer = say(tables, "sql SELECT * FROM range(100000000000) --limit 7")
    assert [row["range"] for row in answer.data["rows"]] == list(range(7)) and answer.data["cut"] and "there are more" in answer.summary
    exactly = say(tables, "sql SELECT * FROM range(7) --limit 7")
    assert not exactly.data["cut"] and len(exactly.data["rows"]) == 7


def test_alone_it_lists_the_tables(tables: Engine) -> None:
    answer = say(tables, "sql")
    assert [item["table"] for item in answer.data["tables"]] == ["tickets", "cls-news"] and answer.opens == "sql:"


@pytest.mark.parametrize(
    ("statement", "message", "hint", "word"),
    [
        ("select labl from tickets", "no column “labl”", "Did you mean label?", "labl"),
        ("select zzzzzz from tickets", "no column “zzzzzz”", "The columns are: text, label, n.", "zzzzzz"),
        ("select * from tickts", "no dataset called “tickts”", "Did you mean tickets?", "tickts"),
        ("select * from cls_new", "no dataset called", "cls-news", "cls_new"),
        ("selekt 1", "Syntax error", "", "selekt"),
        ("select 1; select 2", "one statement", "For example", ""),
        (";", "no statement", "For example", ""),
        ("select 'x'::int from tickets", "Could not convert", "", ""),
    ],
)
def test_a_wrong_query_is_pointed_at(tables: Engine, statement: str, message: str, hint: str, word: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        tables.query(statement).run()
    error = caught.value
    assert hint in error.hint and (not word or word == error.line[error.start : error.end])


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('{secret}')", "select * from '{secret}'", "from '{secret}'", "select * from read_text('{secret}')",
        "select * from read_blob('{secret}')", "select * from read_json('{secret}')", "select * from parquet_scan('{secret}')",
        "select * from sniff_csv('{secret}')", "select * from glob('{folder}/*')", "select * from query('from read_text(''{secret}'')')",
        "copy tickets to '{folder}/stolen.csv'", "copy (select 1) to '{folder}/stolen.csv'", "explain analyze copy (select 1) to '{folder}/stolen.csv'",
        "export database '{folder}/stolen'", "attach '{folder}/stolen.db'", "install httpfs", "load httpfs", "select * from read_csv('http://127.0.0.1:1/x')",
        "select * from read_parquet('s3://bucket/x')", "select * from sqlite_scan('{folder}/a.db', 't')", "pragma database_list", "call pragma_version()",
        "set enable_external_access = true", "reset enable_external_access", "set lock_configuration = false", "select set_config('threads', '1')",
        "select getenv('HOME')", "select * from secret_frame", "select 1; copy tickets to '{folder}/stolen.csv'", "create table t as select 1",
        "create view v as select 1", "insert into tickets values (1)", "delete from tickets", "update tickets set n = 1", "drop view tickets",
        "use memory", "checkpoint", "prepare p as select 1", "execute p", "begin", "vacuum", "select * from duckdb_secrets()", "create secret s (type s3)",
    ],
)  # fmt: skip
def test_nothing_leads_out(tables: Engine, tmp_path: Path, statement: str) -> None:
    import pyarrow as pa

    secret_frame = pa.table({"secret": ["s3kr1t"]})  # DuckDB would find it by its name, were it let
    (tmp_path / "secret.csv").write_text("a\ns3kr1t\n")
    before = sorted(tmp_path.rglob("*stolen*"))
    with pytest.raises(DataError) as caught:
        tables.query(statement.format(secret=tmp_path / "secret.csv", folder=tmp_path)).run()
    assert "s3kr1t" not in str(caught.value) and sorted(tmp_path.rglob("*stolen*")) == before == [] and secret_frame.num_rows == 1
    assert say(tables, "sql select count(*) as c from tickets").data["rows"] == [{"c": 61}]


def test_time_memory_and_cancel(tables: Engine) -> None:
    long = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = 7"
    with pytest.raises(DataError, match=r"longer than 0.2 s") as caught:
        tables.query(long, seconds=0.2).run()
    assert "--seconds" in caught.value.hint
    query = tables.query(long)
    timer = threading.Timer(0.1, query.stop)
    timer.start()
    with pytest.raises(Stopped):
        query.run()
    with pytest.raises(DataError, match="more memory"):
        Query([], "select list(range::varchar || repeat('x', 300)) from range(50000000)", memory=50_000_000).run()


def test_an_error_on_the_way_is_pointed_at_too(tables: Engine) -> None:
    wrong = "select case when range > 90000 then ('x' || range)::int else 1 end from range(100000)"
    with pytest.raises(DataError, match="Could not convert string 'x90001'") as caught:
        tables.query(wrong).run()
    assert caught.value.line[caught.value.start :].startswith("::int")
    query = tables.query("select * from range(10000000000)", limit=10**9)
    timer = threading.Timer(0.2, query.stop)
    timer.start()
    with pytest.raises(Stopped):
        query.run()


def test_a_long_value_does_not_fill_the_memory(tables: Engine) -> None:
    answer = tables.query("select repeat('x', 200000) as x from range(100000)").run()
    assert answer.cut and answer.table.nbytes < 400_000_000


def test_keep_makes_a_dataset(tables: Engine) -> None:
    job = finish(tables, say(tables, "sql --keep odd SELECT * FROM tickets WHERE n % 2 = 1").data["job"])
    record = tables.workspace.datasets.get("odd")
    assert job.state == "done" and record.splits == {"train": 30, "test": 1} and record.source == "SELECT * FROM tickets WHERE n % 2 = 1"
    assert tables.window("odd", "test", 0, 9) == [{"text": "last", "label": "a", "n": 99}]
    assert [row["n"] for row in tables.window("odd", "train", 0, 99)] == list(range(1, 60, 2))
    assert record.features == {"text": "string", "label": "string", "n": "int64"} and record.shape == "classification"
    again = finish(tables, say(tables, "keep odd SELECT * FROM tickets WHERE n % 2 = 1").data["job"])
    assert again.state == "done" and tables.workspace.datasets.get("odd").fingerprint == record.fingerprint

    from datasets import load_from_disk

    assert list(load_from_disk(f"{record.folder}/train")["n"]) == list(range(1, 60, 2))
    with pytest.raises(DataError, match="already a dataset"):
        say(tables, "keep odd SELECT 1 AS a")
    assert tables.workspace.datasets.get("odd") == tables.workspace.datasets.get("odd") and say(tables, "sql select n from odd.test").data["rows"]


def test_keep_finds_a_type_for_everything(tables: Engine) -> None:
    made = (
        "select sum(n) as total, avg(n) as mean, 1.25 as price, interval 1 day as span, map {'a': 1} as m, 'x'::enum('x') as e, "
        "[1, 2] as l, {'a': null} as s, date '2026-01-02' as d, null as nothing, uuid() as u, '{\"a\": 1}'::json as j from tickets"
    )
    job = finish(tables, say(tables, f"keep odd {made}").data["job"])
    assert job.state == "done", job.error
    [row] = tables.window("odd", "train", 0, 9)
    assert (row["total"], row["price"], row["span"], row["m"], row["e"]) == (1869, "1.25", "1 days", [{"key": "a", "value": 1}], "x")
    assert row["l"] == [1, 2] and row["d"] == "2026-01-02" and row["j"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM tickets WHERE n > 1000", "no rows"),
        ("SELECT _row FROM tickets", "no columns of data"),
        ("SELECT '../../up' AS _split, n FROM tickets", "can't be the name of a split"),
        ("SELECT 100000000000000000000::HUGEINT AS big", "beyond 64 bits"),
        ("SELECT union_value(a := 1) AS u", "can't hold"),
        ("SELECT n, (label || 'x')::INT AS bad FROM tickets", "Could not convert"),
    ],
)
def test_what_cannot_be_kept_leaves_nothing(tables: Engine, query: str, message: str) -> None:
    job = finish(tables, say(tables, f"keep odd {query}").data["job"], state="failed")
    assert job.state == "failed" and message in job.error["message"]
    assert tables.workspace.datasets.find("odd") is None and not list((tables.workspace.paths.datasets).glob("odd/*"))
    assert not (tables.workspace.paths.job(job.id) / "ready").exists()


def test_a_query_is_taken_as_it_was_written() -> None:
    def query(line: str) -> str:
        return str(from_line(line).query)  # type: ignore[attr-defined]

    assert query("/sql SELECT 'a  b',  \"x\" FROM t -- why\n WHERE a = 'c'") == "SELECT 'a  b',  \"x\" FROM t -- why\n WHERE a = 'c'"
    assert query("/sql --limit 5 SELECT 'it''s' AS x") == "SELECT 'it''s' AS x"
    assert query("sql SELECT a FROM t WHERE b='x --limit 3 y' --limit 5") == "SELECT a FROM t WHERE b='x --limit 3 y'"
    assert query("sql \"SELECT 'a'\"") == "SELECT 'a'" and query("sql 'SELECT 1'") == "SELECT 1"
    assert query("sql SELECT 1 --nothing -- more") == "SELECT 1 --nothing -- more"
    request = from_argv(["sql", "--limit", "5", "SELECT 'a  b' FROM t", "--seconds", "2"])
    assert (request.query, request.limit, request.seconds) == ("SELECT 'a  b' FROM t", 5, 2)  # type: ignore[attr-defined]
    assert from_line(to_line(request)) == request
    with pytest.raises(WordsError, match="has no --limt"):
        from_line("sql --limt 5 SELECT 1")
