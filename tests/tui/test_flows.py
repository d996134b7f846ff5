"""What a person does on the screen, with a real engine on an empty workspace."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.tui.screens import StillApp
from tui.app import BitternApp
from tui.panels.jobs import JobsPanel
from tui.panels.rows import DatasetDetail
from tui.screens.ask import AskScreen
from tui.screens.help import HelpScreen
from tui.screens.train_form import TrainForm
from tui.widgets.chatbox import ChatBox, Completions
from tui.widgets.rows import RowsTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from textual.pilot import Pilot

WIDE = (160, 45)


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "tickets.csv"
    file.write_text("text,label\n" + "".join(f"row number {n},{'ab'[n % 2]}\n" for n in range(250)), encoding="utf-8")
    return file


async def until(what: Callable[[], Any], seconds: float = 150) -> Any:
    for _ in range(int(seconds / 0.05)):
        if found := what():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come")


@asynccontextmanager
async def screen(home: Path, size: tuple[int, int] = WIDE) -> AsyncIterator[tuple[BitternApp, Pilot[Any]]]:
    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.bridge.engine)
        engine = app.engine
        yield app, pilot
    engine.close(5)


async def says(app: BitternApp, pilot: Pilot[Any], text: str) -> Any:
    """Type a line, send it, and wait for what comes of it."""
    before = len(app.chat.messages)
    box = app.main.query_one(ChatBox)
    box.focus()
    box.put(text)
    await pilot.press("enter")
    return await until(lambda: next((m for m in app.chat.messages[before:] if m.kind != "user" and (m.text or m.error)), None))


async def added(app: BitternApp, pilot: Pilot[Any], rows: Path) -> None:
    await says(app, pilot, f"/add {rows}")
    await until(lambda: app.catalog.find_dataset("tickets"))


async def test_what_a_job_answers_takes_the_place_of_its_beginning(home: Path, rows: Path) -> None:
    async with screen(home) as (app, pilot):
        message = await says(app, pilot, f"/add {rows}")
        await until(lambda: message.text.startswith("tickets: 250 rows"))
        assert "Read as CSV" in message.result["body"], "how the file was read is told"
        await until(lambda: ["tickets: 250 rows" in str(one.render()) for one in app.parts.chat.query(".note .summary")] == [True])


async def test_a_note_that_changes_while_it_comes_in_says_one_thing() -> None:
    app = StillApp()
    async with app.run_test(size=WIDE) as pilot:
        await app.settle(pilot)
        for turns in range(40):  # of the loop before the change
            note = app.chat.add("note", "Job 1 is queued.", verb="add")
            first = asyncio.create_task(app.draw_chat([note]))
            for _ in range(turns):
                await asyncio.sleep(0)
            note.text = "tickets: 250 rows"
            await asyncio.gather(first, app.draw_chat([note]))
        said = [str(one.render()) for one in app.parts.chat.query(".note .summary")]
        assert said == 40 * ["tickets: 250 rows"]


async def test_a_wrong_word_is_pointed_at(home: Path) -> None:
    async with screen(home) as (app, pilot):
        message = await says(app, pilot, "/trian smollm2")
        assert message.kind == "error"
        assert (message.error["start"], message.error["end"]) == (1, 6)
        assert "train" in message.error["hint"]


async def test_a_question_with_no_model_teaches_the_way_out(home: Path) -> None:
    async with screen(home) as (app, pilot):
        message = await says(app, pilot, "What is [/a] bittern?")
        assert message.kind == "error"
        assert message.error["hint"]


async def test_data_is_added_and_looked_at(home: Path, rows: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, rows)
        await pilot.press("f2", "enter")
        table: RowsTable = await until(lambda: next(iter(app.main.query(RowsTable)), None))
        await until(lambda: table.row_count)
        detail = app.main.query_one(DatasetDetail)
        await pilot.press("ctrl+end")
        await until(lambda: table.at == table.total - 1)
        await pilot.press("enter")
        await until(lambda: detail.in_row)
        await pilot.press("p")
        await pilot.press("escape", "g", *"120", "enter")
        await until(lambda: table.at == 120)
        await pilot.press("escape")
        assert app.view.detail == ""


async def test_forgetting_asks_first(home: Path, rows: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, rows)
        await pilot.press("f2", "delete")
        await until(lambda: isinstance(app.screen, AskScreen))
        await pilot.press("f3")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("enter")
        await until(lambda: app.screen is app.main)
        assert app.catalog.find_dataset("tickets")
        await pilot.press("delete")
        await until(lambda: isinstance(app.screen, AskScreen))
        await pilot.press("up", "enter")
        await until(lambda: app.catalog.find_dataset("tickets") is None)


async def test_a_slash_line_is_completed(home: Path, rows: Path) -> None:
    async with screen(home, (80, 24)) as (app, pilot):
        await added(app, pilot, rows)
        box, shown = app.main.query_one(ChatBox), app.main.query_one(Completions)
        box.focus()
        await pilot.press(*"/for")
        await until(lambda: shown.display and shown.words == ["forget"])
        await pilot.press("tab")
        await until(lambda: shown.display and shown.words == ["tickets"])
        await pilot.press("tab")
        assert box.text == "/forget tickets "
        await pilot.press("escape", "escape")
        assert app.focused is not box


async def test_the_form_says_the_line_it_will_run(home: Path, rows: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, rows)
        await pilot.press("f2", "t")
        form: Any = await until(lambda: app.screen if isinstance(app.screen, TrainForm) else None)
        assert form._line()[1].startswith("base")
        await pilot.press("ctrl+s")
        assert app.screen is form
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


async def test_help_modes_and_narrow_panels(home: Path) -> None:
    async with screen(home, (80, 24)) as (app, pilot):
        assert "ask guide" in str(app.main.query_one(ChatBox).border_title)
        await pilot.press("f6")
        assert "chat" in str(app.main.query_one(ChatBox).border_title)
        await pilot.press("f4")
        assert app.main.query_one(JobsPanel).display
        assert not app.main.query_one("#chat").display
        await pilot.press("f1")
        await until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "f5")
        message = await says(app, pilot, "/help train")
        assert "--learning-rate" in message.text
        await pilot.resize_terminal(160, 45)
        await until(lambda: app.main.query_one("#chat").display and app.main.query_one("#datasets").display)


async def test_a_job_that_was_interrupted_is_told_at_the_start(home: Path, rows: Path) -> None:
    from engine.engine import Engine

    engine = Engine(home, working=False)
    job = engine.run(engine.parse(f"add {rows}")).data["job"]
    engine.workspace.database.write("UPDATE jobs SET state = 'interrupted' WHERE id = ?", job)
    engine.close(1)
    async with screen(home) as (app, pilot):
        message = await until(lambda: next((m for m in app.chat.messages if m.kind == "note"), None))
        assert f"/resume {job}" in message.text
        await pilot.press("f4", "r")
        await until(lambda: app.catalog.find_dataset("tickets"))


async def test_leaving_with_a_waiting_job_asks(home: Path, rows: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, rows)
        engine: Any = app.engine
        engine.workspace.database.write("UPDATE jobs SET state = 'paused'")
        job = engine.submit(engine.parse(f"add {rows} --name more"), after=["1"]).id
        await until(app.jobs.waiting)
        await pilot.press("ctrl+q")
        await until(lambda: isinstance(app.screen, AskScreen))
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)
        await pilot.press("ctrl+q")
        await until(lambda: isinstance(app.screen, AskScreen))
        await pilot.press("down", "down", "enter")
        await until(lambda: app._exit, 10)
    from engine.store.workspace import Workspace

    workspace = Workspace(home)
    assert workspace.jobs.get(job).state == "cancelled"
    workspace.close()
