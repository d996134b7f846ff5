"""The screen while work is done elsewhere, and small things that it says: what a job of another process may not do, an
answer that failed before its first word, a box on the map with no row in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.follow import finish
from tests.tui.test_flows import says, screen, until
from tests.tui.test_quality_screens import added, mess, opened
from tui.screens.map import MapScreen
from tui.screens.quality import QualityScreen
from tui.widgets.plane import Plane

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["mess"]  # the fixture


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


async def test_a_job_begun_elsewhere_opens_no_screen(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        job = await app.bridge.call(lambda: app.engine.run(app.engine.parse("check mess --only duplicates")).data["job"])
        await app.bridge.call(lambda: finish(app.engine, job))
        await until(lambda: [told for told in app._notifications if told.title == f"Job {job} is done"])
        await app.workers.wait_for_complete()
        assert app.screen is app.main
        await says(app, pilot, "/check mess --only duplicates")
        shown: Any = await until(lambda: opened(app, QualityScreen))
        await until(lambda: shown.finding)


async def test_after_use_the_next_words_still_go_into_the_chat_box(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/use mess")
        await app.workers.wait_for_complete()
        await pilot.press("h", "e", "y")
        assert app.parts.box.text == "hey" and app.focused is app.parts.box


async def test_an_answer_that_never_began_was_not_broken_off(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        message = await says(app, pilot, "/ask what stood still? --on mess")
        assert message.kind == "error" and "no index yet" in message.text
        assert not [told.footer() for told in app.chat.messages if "broken off" in told.footer()]


async def test_a_box_with_no_row_in_it_says_so(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/atlas mess")
        shown: Any = await until(lambda: opened(app, MapScreen))
        await until(lambda: shown.query("#plane") and shown.query_one(Plane)._grid)
        plane: Any = shown.query_one(Plane)
        empty = next((x, y) for y, row in enumerate(plane._grid.characters.tolist()) for x, character in enumerate(row) if character == " ")
        plane.cursor = empty
        await pilot.press("space", "enter")
        assert [told.message for told in app._notifications if "No row lies in the box" in told.message]
        await pilot.resize_terminal(80, 24)
        await until(lambda: plane.size.width == 80)
        assert plane.box is None and plane.cursor[0] < 80
