"""The last line: the keys that do something here, and a click on one."""

from __future__ import annotations

from typing import Any

from tests.tui.screens import StillApp
from tui.widgets.chatbox import ChatBox
from tui.widgets.keyline import KeyLine


async def test_the_keys_follow_the_focus_and_a_click_is_a_key() -> None:
    async with StillApp().run_test(size=(160, 45)) as pilot:
        app: Any = pilot.app
        await app.settle(pilot)
        app.stock()
        line = app.main.query_one(KeyLine)
        assert str(line.render()).startswith("f6 Ask/Chat ⏎ Send")
        await pilot.press("f3")
        await pilot.pause()
        there = str(line.render())
        assert "Send" not in there and "f Find" in there.replace("f6", "")
        assert "".join(segment.text for strip in line.render_lines(line.region.reset_offset) for segment in strip).rstrip() == there.rstrip()
        before = app.chat.mode
        await pilot.click(line, offset=(there.index("Ask/Chat") + 2, 0))
        await pilot.pause()
        assert app.chat.mode != before
        await pilot.click(line, offset=(150, 0))
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(app.focused, ChatBox) and "Send" in str(line.render())
