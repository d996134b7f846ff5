"""The SQL screen and the statistics screen, on a real engine; and what they know, without one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, OptionList, Static

from tests.fakes.tables import put
from tests.tui.test_flows import says, until
from tui.app import BitternApp
from tui.messages import OpenView
from tui.screens.sql import SqlScreen
from tui.screens.stats import StatsScreen
from tui.state.sql import History, Vocabulary, pieces, plain_name
from tui.state.stats import StatsView, drawn
from tui.widgets.chatbox import Completions
from tui.widgets.rows import RowsTable
from tui.widgets.sql_editor import SqlEditor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.message import Message
    from textual.pilot import Pilot

TICKETS = {"text": [f"ticket number {n} [/bold] \x1b[31m" for n in range(250)], "label": ["ab"[n % 2] for n in range(250)], "n": list(range(250))}


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@asynccontextmanager
async def opened(home: Path, size: tuple[int, int] = (160, 45), heard: list[Message] | None = None) -> AsyncIterator[tuple[BitternApp, Pilot[Any]]]:
    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=size, message_hook=heard.append if heard is not None else None) as pilot:
        engine = await until(lambda: app.bridge.engine)
        put(engine, "tickets", {"train": TICKETS}, shape="classification", columns={"text": "text", "label": "label"})
        await app.read_catalog()
        yield app, pilot
    engine.close(5)


async def sql_screen(app: BitternApp, pilot: Pilot[Any]) -> SqlScreen:
    await says(app, pilot, "/sql")
    screen: SqlScreen = await until(lambda: app.screen if isinstance(app.screen, SqlScreen) else None)
    await until(lambda: screen.query(SqlEditor) and screen.query_one(SqlEditor).vocabulary.tables)
    return screen


def told(screen: Any, name: str = "#sql-told") -> str:
    return str(screen.query_one(name, Static).content) if screen.query(name) else ""


async def test_a_query_from_the_keys_to_a_dataset(home: Path) -> None:
    async with opened(home) as (app, pilot):
        screen = await sql_screen(app, pilot)
        screen.query_one(SqlEditor).put("SELECT la")
        await pilot.press("b")
        completions = screen.query_one(Completions)
        assert await until(lambda: completions.words) == ["label"]
        await pilot.press("tab")
        assert screen.query_one(SqlEditor).text == "SELECT label"
        screen.query_one(SqlEditor).insert(", bogus FROM tickets")
        await pilot.press("ctrl+r")
        await until(lambda: "no column “bogus”" in told(screen))
        assert "SELECT label, bogus FROM tickets" in told(screen), "the line, with the place in it"
        screen.query_one(SqlEditor).put("SELECT text, n FROM tickets\nWHERE n % 2 = 0 -- even")
        await pilot.press("f8")
        await until(lambda: screen.query(RowsTable) and screen.query_one(RowsTable).total)
        table = screen.query_one(RowsTable)
        assert (table.total, table.row_count) == (125, 100) and "125 rows" in told(screen)
        await pilot.press("tab")
        table.go(124)
        await until(lambda: table.start == 100)
        assert str(table.get_row_at(24)[2]) == "248" and "\x1b" not in str(table.get_row_at(24)[1])
        await pilot.press("ctrl+up")
        assert screen.query_one(SqlEditor).text.startswith("SELECT text"), "the newest query first"
        await pilot.press("ctrl+up")
        assert screen.query_one(SqlEditor).text == "SELECT label, bogus FROM tickets"
        await pilot.press("ctrl+s")
        screen.query_one("#sql-keep", Input).value = "even"
        await pilot.press("enter")
        record = await until(lambda: app.engine.workspace.datasets.find("even"))
        assert record.splits == {"train": 125} and record.source.endswith("-- even")
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)
        again = await sql_screen(app, pilot)
        assert again.query_one(SqlEditor).text == "SELECT label, bogus FROM tickets", "what was being written is still there"


async def test_esc_stops_a_query_then_leaves(home: Path) -> None:
    async with opened(home, (80, 24)) as (app, pilot):
        screen = await sql_screen(app, pilot)
        screen.query_one(SqlEditor).put("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7")
        await pilot.press("ctrl+j")
        await until(lambda: "Running" in told(screen))
        await pilot.press("escape")
        await until(lambda: told(screen) == "Stopped.")
        await pilot.press("ctrl+s")
        assert "Run a query first" in told(screen)
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


async def test_a_bar_opens_its_rows(home: Path) -> None:
    heard: list[Message] = []
    async with opened(home, heard=heard) as (app, pilot):
        await says(app, pilot, "/stats tickets")
        screen: StatsScreen = await until(lambda: app.screen if isinstance(app.screen, StatsScreen) else None)
        await until(lambda: screen.view.data)
        assert [job.verb for job in app.engine.jobs()] == ["stats"], "the screen follows the job that runs, and starts no second one"
        await until(lambda: screen.query("#stats-columns"))
        columns = screen.query_one("#stats-columns", OptionList)
        await until(lambda: columns.option_count == 3)
        await pilot.press("down")
        await until(lambda: "different   2" in told(screen, "#stats-figures"))
        await pilot.press("enter", "down", "enter")
        event = await until(lambda: next((message for message in heard if isinstance(message, OpenView)), None))
        assert (event.dataset, event.where) == ("tickets", "\"label\" = 'b'")
        await until(lambda: app.screen is not screen)
        assert app.engine.view("tickets", "train", event.where).rows == 125


async def test_statistics_of_nothing_say_so(home: Path) -> None:
    async with opened(home, (80, 24)) as (app, pilot):
        await app.open_address("stats:nothing")
        await until(lambda: isinstance(app.screen, StatsScreen))
        await until(lambda: "no dataset called" in told(app.screen, "#stats-head"))
        assert (
            isinstance(app.screen, StatsScreen) and not app.screen.view.data and app.screen.query_one("#stats-columns", OptionList).option_count == 0
        )
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


def test_words_that_fit() -> None:
    words = Vocabulary({"tickets": {"text": "string", "the day": "date"}, "cls-news": {"title": "string"}}, {"tickets": ["train", "test"]})
    assert [word for word, _ in words.complete("select t")][:4] == ["text", '"the day"', "title", "tickets"]
    assert [word for word, _ in words.complete("select * from tickets where t")][:2] == ["text", '"the day"'], "columns of the query's tables"
    assert words.complete("from tickets.t") == [("train", "split"), ("test", "split"), ("text", "string"), ('"the day"', "date")]
    assert ("cls_news", "dataset") in words.complete("from cls")
    assert words.complete("where x = 'tex") == [] == words.complete("-- tex") == words.complete("select ") == words.complete("from tickets")
    assert plain_name("a b") == '"a b"' and plain_name("order") == '"order"' and plain_name("cls-news", table=True) == "cls_news"


def test_colours() -> None:
    line = "SELECT count(x), 'it''s' FROM t WHERE a > 1.5 -- not 'this'"
    assert [(line[start:end], kind) for start, end, kind in pieces(line)] == [
        ("SELECT", "keyword"), ("count", "function"), ("'it''s'", "string"), ("FROM", "keyword"), ("WHERE", "keyword"), ("1.5", "number"),
        ("-- not 'this'", "comment"),
    ]  # fmt: skip


def test_history() -> None:
    history = History()
    for query in ("one", "two", "one"):
        history.add(query)
    assert history.queries == ["two", "one"]
    assert [history.move(by, "draft") for by in (-1, -1, -1, 1, 1, 1)] == ["one", "two", None, "one", "draft", None]


def test_bars_say_what_they_count() -> None:
    label = {
        "name": 'la"bel', "sql": '"la""bel"', "type": "VARCHAR", "kind": "string", "of": 'length("la""bel")', "nulls": 3, "distinct": 3, "distinct_approximate": False,
        "top": [{"value": "it's", "count": 5}, {"value": "", "count": 2}, {"value": "x" * 500, "count": 1, "cut": True}],
    }  # fmt: skip
    figures = {"min": 0, "max": 9, "mean": 4.5, "std": 3.0, "quantiles": {"0.5": 4.5}, "approximate": False}
    number = {
        "name": "n",
        "sql": '"n"',
        "type": "BIGINT",
        "kind": "number",
        "of": '"n"',
        "nulls": 0,
        "figures": figures,
        "histogram": {"edges": [-1, 0, 5, 10], "counts": [1, 5, 4]},
    }
    view = StatsView("t", data={"rows": 11, "columns": [label, number], "balance": {}})
    (_, top), (_, empty) = view.bars(0)
    assert [bar.where for bar in top] == ["\"la\"\"bel\" = 'it''s'", '"la""bel" = \'\'', f'starts_with("la""bel", \'{"x" * 500}\')']
    assert empty[0].where == '"la""bel" IS NULL' and ("empty", "3 (27.3%)") in view.figures(0)
    [(heading, bars)] = view.bars(1)
    assert heading == "Values" and [(bar.label, bar.count, bar.where) for bar in bars] == [
        ("0", 1, '"n" > -1 AND "n" <= 0'), ("1 – 5", 5, '"n" > 0 AND "n" <= 5'), ("6 – 9", 4, '"n" > 5 AND "n" <= 10'),
    ]  # fmt: skip
    assert [heading for heading, _ in StatsView("t", data={**view.data, "columns": [{**number, "distinct": 900, "top": [{"value": 1, "count": 2}]}]}).bars(0)] == [
        "Values", "Most frequent values",
    ], "few of many values say less than how all are spread"  # fmt: skip
    assert drawn(1, 1000, 10) == "▏" and drawn(1000, 1000, 10) == "█" * 10 and drawn(0, 5, 10) == ""
