"""Side by side on the screen: a prompt fills the columns, a key votes, the names appear."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.tui.test_flows import says, until
from tui.app import BitternApp
from tui.screens.versus import Column, VersusScreen


@pytest.mark.slow
async def test_ask_vote_and_see_the_names(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        titles = [str(column.border_title) for column in screen.query(Column)]
        assert titles == ["1", "2"]
        await pilot.press("2")
        await until(lambda: not screen.view.waits)
        chosen = str(screen.query(Column)[1].border_title)
        assert chosen.startswith("2 · small+temperature=")
        assert chosen.endswith("✓")
        assert engine.run(engine.parse("votes")).data["pairs"][0]["wins"] + engine.run(engine.parse("votes")).data["pairs"][0]["losses"] == 1
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, VersusScreen))
    engine.close(5)
