"""Side by side on the screen: columns, a key votes, the names appear; a prompt fills the columns as answers come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from engine.store.ballots import Ballot
from tests.tui.test_flows import says, until
from tui.app import BitternApp
from tui.screens.versus import Column, VersusScreen
from tui.state.versus import VersusView
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from pathlib import Path


def test_columns_fill_by_place_and_names_come_with_the_vote() -> None:
    view = VersusView("a,b")
    view.begin("call-1")
    view.add(1, "later ")
    view.add(0, "first")
    view.add(7, "nowhere")
    assert view.texts == ["first", "later "]
    assert not view.waits
    view.take({"ballot": 3, "batch": "", "vote": "", "prompt": [{"role": "user", "content": "q"}], "places": [{"answer": "first"}, {"answer": " "}]})
    assert view.waits and view.texts == ["first", "(nothing)"], "an empty answer has come, too"
    assert [view.title(0), view.title(1)] == ["1", "2"]
    view.take({"ballot": 3, "vote": "2", "places": [{"answer": "x", "side": "b", "chosen": False}, {"answer": "y", "side": "a", "chosen": True}]})
    assert not view.waits
    assert view.title(1) == "2 ✓ a"


async def test_go_through_ballots_by_keys(home: Path) -> None:
    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=(80, 24)) as pilot:
        engine = await until(lambda: app.bridge.engine)
        for number in range(2):
            engine.workspace.ballots.add(
                Ballot([{"role": "user", "content": f"What? [/b] {number}"}], ["a", "b"], ["by a \x1b[31m", "by b"], [1, 0], 0)
            )
        await says(app, pilot, "/ballot")
        screen: VersusScreen = await until(lambda: app.screen if isinstance(app.screen, VersusScreen) else None)
        await until(lambda: len(screen.query(Column)) == 2 and isinstance(app.focused, Column))
        assert "What? [/b] 0" in str(screen.query_one("#versus-head", Static).content)
        assert [str(column.border_title) for column in screen.query(Column)] == ["1", "2"]
        await pilot.press("4", "2")
        await until(lambda: not screen.view.waits)
        assert [str(column.border_title) for column in screen.query(Column)] == ["1 · b", "2 ✓ a"]
        await pilot.press("n")
        await until(lambda: screen.view.waits)
        await pilot.press("t")
        await until(lambda: not screen.view.waits)
        pair = engine.run(engine.parse("votes")).data["pairs"][0]
        assert (pair["wins"], pair["losses"], pair["ties"]) == (1, 0, 1)
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, VersusScreen))
    engine.close(5)


@pytest.mark.slow
async def test_a_prompt_fills_the_columns(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.models.gguf_write import write_gguf

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = tiny_home.parent / "small.gguf"
    write_gguf(tiny_home.parent / "tiny", file, "F32")
    app = BitternApp(tiny_home, warm=False, starter=False)
    async with app.run_test(size=(120, 30)) as pilot:
        engine = await until(lambda: app.bridge.engine)
        await says(app, pilot, f"/pull {file} --name small")
        await until(lambda: "small" in engine.names("models"))
        await says(app, pilot, "/versus small+temperature=0,small+temperature=1.5")
        screen: VersusScreen = await until(lambda: app.screen if isinstance(app.screen, VersusScreen) else None)
        await until(lambda: len(screen.query(Column)) == 2)
        screen.query_one("#versus-prompt", Input).value = "What is a [/heron]?"
        await pilot.press("enter")
        await until(lambda: screen.view.waits and isinstance(app.focused, Column))
        assert app.screen is screen
        await pilot.press("2")
        await until(lambda: not screen.view.waits)
        assert str(screen.query(Column)[1].border_title).startswith("2 ✓ small+temperature=")
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)
        for line in ("/versus small,small+max-tokens=2 --seed 3 Say heron", "/versus small,nothing Say heron"):
            box = app.main.query_one(ChatBox)
            box.focus()
            box.put(line)
            await pilot.press("enter")
            at_once: VersusScreen = await until(lambda: app.screen if isinstance(app.screen, VersusScreen) else None)
            await until(lambda at=at_once: at.view.waits or at.view.note)
            assert "no model called “nothing”" in at_once.view.note if "nothing" in line else at_once.view.ballot["seed"] == 3
            await pilot.press("escape")
            await until(lambda: app.screen is app.main)
    engine.close(5)
