"""One part at a time: at 80 columns, and with a part that fills the screen, what is answered is still seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual import events as keys
from textual.widgets import Static

from engine import events
from engine.errors import BitternError
from tests.tui.test_flows import WIDE, screen, until
from tui.panels.jobs import JobsPanel
from tui.text import cells
from tui.widgets.chatbox import ChatBox
from tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from pathlib import Path

NARROW = (80, 24)


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.mark.parametrize(("size", "zoom"), [(NARROW, False), (WIDE, True)])
@pytest.mark.parametrize("line", ["/fit 7b", "/fit nothing", "/nonsense"])
async def test_what_a_line_is_answered_with_comes_to_the_front(home: Path, size: tuple[int, int], zoom: bool, line: str) -> None:
    async with screen(home, size) as (app, pilot):
        await pilot.press("f3", *(["z"] if zoom else []))
        await until(lambda: not app.sees_chat)
        await pilot.press("slash")
        app.main.query_one(ChatBox).put(line)
        await pilot.press("enter")
        await until(lambda: app.sees_chat and app.chat.messages[-1].kind in ("note", "error"))
        assert app.sees_chat and app.chat.messages[-1].kind == ("note" if line == "/fit 7b" else "error")


async def test_an_error_behind_another_part_is_told_in_the_corner(home: Path) -> None:
    async with screen(home, NARROW) as (app, pilot):
        app.fail(BitternError("One.", "Look."))
        await pilot.press("f4")
        await until(lambda: not app.sees_chat)
        app.fail(BitternError("Two.", "Look."))
        await until(lambda: app._notifications)
        assert [note.message for note in app._notifications] == ["Two. Look."], "the first was seen where it stands"


async def test_an_answer_that_is_asked_to_stop_says_so_until_it_has_stopped(home: Path) -> None:
    async with screen(home, NARROW) as (app, pilot):
        await until(lambda: app._session and not app._turning.locked())
        message = app.chat.begin("call-none", "chat")
        await app.draw_chat([message])
        status = app.main.query_one("AnswerEntry .status", Static)
        assert str(status.content) == "thinking…"
        app.main.query_one(ChatBox).focus()
        await pilot.press("escape")
        await until(lambda: str(status.content) == "stopping…")


async def test_a_slash_and_what_is_typed_at_once_behind_it_is_a_line(home: Path) -> None:
    """A list takes none of it, although all of it comes before the box could say that it has the focus."""
    async with screen(home, NARROW) as (app, pilot):
        await pilot.press("f4")
        await until(lambda: isinstance(app.focused, JobsPanel))
        for key, letter in (("slash", "/"), ("u", "u"), ("s", "s"), ("x", "x"), ("slash", "/")):
            app.post_message(keys.Key(key, letter))
        box = app.main.query_one(ChatBox)
        await until(lambda: len(box.text) >= 5)
        assert box.text == "/usx/"


async def test_what_is_typed_at_once_behind_f5_is_said(home: Path) -> None:
    async with screen(home, WIDE) as (app, pilot):
        await pilot.press("f4")
        await until(lambda: isinstance(app.focused, JobsPanel))
        for key, letter in (("f5", None), ("h", "h"), ("i", "i")):
            app.post_message(keys.Key(key, letter))
        box = app.main.query_one(ChatBox)
        await until(lambda: len(box.text) >= 2)
        assert box.text == "hi"


async def test_a_lone_slash_is_no_question(home: Path) -> None:
    async with screen(home, NARROW) as (app, pilot):
        await pilot.press("slash", "enter")
        await pilot.pause()
        assert app.main.query_one(ChatBox).text == "/" and not app.chat.messages


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_download_under_way_fits_its_places(home: Path, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        await pilot.press("f4")
        app.jobs.apply(events.JobQueued(job="1", title="pull organisation/a-model-with-a-long-name", verb="pull"))
        for event in (events.JobStarted(job="1"), events.JobProgress(job="1", done=1e9, total=2.5e9, unit="bytes", rate=2.9e6, eta=3599)):
            app.jobs.apply(event)
        await app.draw_jobs({"1"})
        panel = app.main.query_one(JobsPanel)
        lines = str(panel.get_option_at_index(0).prompt).splitlines()
        assert len(lines) == 2 and all(cells(line) <= panel.size.width for line in lines) and "59:59 left" in lines[1]
        assert "40%" in str(app.main.query_one(TopBar).content)
