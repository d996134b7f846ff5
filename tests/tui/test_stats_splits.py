"""The statistics screen by split, and the columns with what of them is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import OptionList, Static

from tests.fakes.tables import put
from tests.tui.test_flows import says, until
from tui.app import BitternApp
from tui.messages import OpenView
from tui.screens.stats import StatsScreen
from tui.widgets.schema import Schema, empty

if TYPE_CHECKING:
    from pathlib import Path

    from textual.message import Message


async def test_a_bar_opens_the_split_that_has_its_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    app, heard = BitternApp(home, warm=False, starter=False), []  # type: ignore[var-annotated]

    def views() -> list[Message]:
        return [message for message in heard if isinstance(message, OpenView)]

    async with app.run_test(size=(120, 40), message_hook=heard.append) as pilot:
        engine = await until(lambda: app.bridge.engine)
        splits = {"train": {"n": [1, 1, None, 4], "t": ["a", "a", "a", "b"]}, "test": {"n": [9, 9, 1], "t": ["a", "c", "c"]}}
        put(engine, "two", splits)
        await app.read_catalog()

        async def opened() -> StatsScreen:
            await says(app, pilot, "/stats two")
            screen: StatsScreen = await until(lambda: app.screen if isinstance(app.screen, StatsScreen) else None)
            await until(lambda: screen.query("#stats-columns") and screen.query_one("#stats-columns", OptionList).option_count)
            return screen

        def head(screen: StatsScreen) -> str:
            return str(screen.query_one("#stats-head", Static).content)

        screen = await opened()
        await until(lambda: "7 rows of all splits: train, test" in head(screen))
        await pilot.press("down")
        await until(lambda: "different   3" in str(screen.query_one("#stats-figures", Static).content))
        await pilot.press("enter", "down", "down", "enter")  # a, c, b: by how frequent they are
        await until(lambda: len(views()) == 1)
        event = views()[0]
        assert isinstance(event, OpenView) and (event.where, event.split) == ("\"t\" = 'b'", "train")
        await until(lambda: app.screen is app.main)

        screen = await opened()
        await pilot.press("s", "s")
        await until(lambda: screen.view.split == "test" and screen.view.data)
        await until(lambda: "3 rows of test" in head(screen))
        await pilot.press("down", "enter", "enter")
        await until(lambda: len(views()) == 2)
        event = views()[1]
        assert isinstance(event, OpenView) and (event.where, event.split) == ("\"t\" = 'c'", "test")
        await until(lambda: app.screen is app.main and app.parts.dataset.look and app.parts.dataset.look.split == "test")
        await until(lambda: app.parts.dataset._rows and app.parts.dataset.table)

        await pilot.press("y")
        schema = app.query_one(Schema)
        await until(lambda: schema.display and "14% empty" in str(schema.get_option_at_index(0).prompt))
        assert "empty" not in str(schema.get_option_at_index(1).prompt)
    engine.close(5)


def test_how_much_is_empty() -> None:
    assert [empty(*pair) for pair in ((0, 5), (1, 1000), (1, 4), (999, 1000), (5, 5), (0, 0))] == [
        "", "<1% empty", "25% empty", ">99% empty", "all empty", "",
    ]  # fmt: skip
