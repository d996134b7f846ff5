"""An answer that grows: no new layout where no line came, the end in sight where one did, and the same picture at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events
from tests.tui.screens import StillApp
from tui.widgets.growing import Growing

if TYPE_CHECKING:
    import pytest

WORDS = "The **grey heron** stands very still at the water's edge and listens to the reeds and to what moves below them. "


def drawn(app: StillApp) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


async def test_words_on_a_line_ask_for_no_layout_and_new_lines_stay_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"
        await app.draw_chat([app.chat.add("user", "why?"), app.chat.begin("call-1", "chat")])
        await app.feed(pilot, [events.TokenDelta(job="call-1", text="It waits")])
        await pilot.pause(0.2)
        layouts: list[int] = []
        reflow = app.main._compositor.reflow
        monkeypatch.setattr(app.main._compositor, "reflow", lambda *given: layouts.append(1) or reflow(*given))
        await app.feed(pilot, [events.TokenDelta(job="call-1", text=" in the reeds")])
        await pilot.pause(0.2)
        assert not layouts and any("It waits in the reeds" in line for line in drawn(app))
        said = "It waits in the reeds"
        for number in range(12):
            text = f" {number}: {WORDS}" + ("\n\n" if number % 3 == 2 else "")
            said += text
            await app.feed(pilot, [events.TokenDelta(job="call-1", text=text)])
        await pilot.pause(0.3)
        panel = app.parts.chat
        assert layouts and panel.scroll_y == panel.max_scroll_y > 0
        streamed = drawn(app)
        assert any("11:" in line for line in streamed)
        await pilot.resize_terminal(78, 20)
        await pilot.pause(0.2)
        assert panel.scroll_y == panel.max_scroll_y, "the end stays in sight on a smaller terminal"
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.2)
        assert drawn(app) == streamed
        await app.main.query_one(Growing).update(said)
        await pilot.pause(0.3)
        assert drawn(app) == streamed, "in pieces it looks as it does whole"
