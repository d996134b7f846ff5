"""Tokens on the screen, as the text is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static, TextArea

from tests.fakes.encoder import encoder
from tests.fakes.follow import finish
from tests.tui.test_flows import says, until
from tui.app import BitternApp
from tui.screens.tokens import TokensScreen

if TYPE_CHECKING:
    from pathlib import Path


async def test_tokens_follow_the_text(home: Path, tmp_path: Path) -> None:
    from engine.engine import Engine

    folder = tmp_path / "enc"
    folder.mkdir()
    first = Engine(home, everything=True)
    for name in ("enc", "other"):
        finish(first, first.run(first.parse(f"pull {encoder(folder) if name == 'enc' else folder} --name {name}")).data["job"])
    first.close(5)
    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=(120, 30)) as pilot:
        engine = await until(lambda: app.bridge.engine)
        await says(app, pilot, "/tokens --model enc --with other")
        screen: TokensScreen = await until(lambda: app.screen if isinstance(app.screen, TokensScreen) else None)
        await until(lambda: screen.query(TextArea))
        screen.query_one(TextArea).text = "the [/b] heron"
        await until(lambda: len(screen.found) == 2 and screen.found[0]["count"] == 6)
        await until(lambda: "6 tokens" in str(screen.query(Static).first().content))
        await pilot.press("f8")
        await until(lambda: screen.found[0]["count"] == 8)
        assert "«[CLS]»" in str(screen.query(Static).first().content)
        await pilot.press("f7")
        await until(lambda: "68 65 72 6f 6e" in str(screen.query(Static).first().content))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, TokensScreen))
    engine.close(5)
