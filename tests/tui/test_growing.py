"""An answer that grows: no new layout where no line came, the end in sight where one did, and the same picture at the end,
on the terminal too, which is sent only what changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual._compositor import ChopsUpdate

from engine import events
from tests.tui.screens import StillApp
from tui.drawing import MainScreen
from tui.widgets.growing import Growing, GrowingParagraph
from tui.widgets.slimbar import SlimScrollBar

WORDS = "The **grey heron** stands very still at the water's edge and listens to the reeds and to what moves below them. "


class Terminal:
    """What a terminal would show of all that it was sent."""

    def __init__(self, app: StillApp) -> None:
        self.lines: list[list[str]] = []
        self._display = app._display
        app._display = self.show  # type: ignore[method-assign]

    def show(self, screen: Any, update: Any) -> None:
        self._display(screen, update)
        if isinstance(update, ChopsUpdate):
            for y, left, right in update.spans:
                for x, strip in update.chops[y].items():
                    for place, sign in enumerate(strip.text if strip else "", start=x):
                        if left <= place < right:
                            self.lines[y][place] = sign
        elif update is not None:
            self.lines = [list("".join(strip.text for strip in line)) for line in update.strips]

    def text(self) -> list[str]:
        return ["".join(line) for line in self.lines]


async def say(app: StillApp, pilot: Any, text: str) -> None:
    """Words come as from the engine, and time for two pictures passes."""
    app.bridge._heard(events.TokenDelta(job="call-1", text=text))
    await pilot.pause(0.12)


def drawn(app: StillApp) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def as_textual_draws(paragraph: GrowingParagraph) -> list[list[Any]]:
    """The lines of a paragraph that are put together by Textual alone."""
    lines = super(GrowingParagraph, paragraph).render_lines(paragraph.outer_size.region)
    return [list(line.simplify()) for line in lines]


async def test_words_on_a_line_ask_for_no_layout_and_new_lines_stay_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"
        await app.draw_chat([app.chat.add("user", "why?"), app.chat.begin("call-1", "chat")])
        await say(app, pilot, "It waits")
        await pilot.pause(0.1)
        layouts: list[int] = []
        for name in ("reflow", "reflow_visible"):
            arrange = getattr(app.main._compositor, name)
            monkeypatch.setattr(app.main._compositor, name, lambda *given, arrange=arrange: layouts.append(1) or arrange(*given))
        terminal = Terminal(app)
        app.main.refresh()
        await say(app, pilot, " in the reeds")
        assert not layouts and any("It waits in the reeds" in line for line in drawn(app))
        said = "It waits in the reeds"
        for number in range(12):
            text = f" {number}: {WORDS}" + ("\n\n" if number % 3 == 2 else "")
            said += text
            await say(app, pilot, text)
        await pilot.pause(0.3)
        panel = app.parts.chat
        assert layouts and panel.scroll_y == panel.max_scroll_y > 0
        streamed = drawn(app)
        assert any("11:" in line for line in streamed)
        assert terminal.text() == streamed, "nothing that changed was left out"
        for paragraph in app.main.query(GrowingParagraph):
            assert [list(line.simplify()) for line in paragraph.render_lines(paragraph.outer_size.region)] == as_textual_draws(paragraph)
        await pilot.resize_terminal(78, 20)
        await pilot.pause(0.2)
        assert panel.scroll_y == panel.max_scroll_y, "the end stays in sight on a smaller terminal"
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.2)
        assert drawn(app) == streamed
        await app.main.query_one(Growing).update(said)
        await pilot.pause(0.3)
        assert drawn(app) == streamed, "in pieces it looks as it does whole"


async def test_who_reads_further_up_is_left_there_and_finds_all_of_it_below() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"
        await app.draw_chat([app.chat.add("user", "why?"), app.chat.begin("call-1", "chat")])
        await say(app, pilot, "- one\n- two **two**\n\n```\ncode\n```\n\n" + WORDS * 16)
        panel = app.parts.chat
        panel.scroll_to(y=2, animate=False)
        await pilot.pause(0.2)
        terminal = Terminal(app)
        app.main.refresh()
        await pilot.pause(0.1)
        before, extent = drawn(app), panel.max_scroll_y
        for number in range(6):
            await say(app, pilot, f"{number}: {WORDS * 2}")
        assert panel.scroll_y == 2 and panel.max_scroll_y > extent
        # The bar beside it is another, as there is more to scroll over.
        assert [line[:-3] for line in drawn(app)] == [line[:-3] for line in before]
        assert terminal.text() == drawn(app)
        panel.to_end()
        await say(app, pilot, "finally")
        await pilot.pause(0.3)
        assert any("finally" in line for line in drawn(app)) and panel.scroll_y == panel.max_scroll_y
        assert terminal.text() == drawn(app)


def in_sight(app: StillApp, places: dict[Any, Any]) -> dict[Any, Any]:
    """Where each widget that is seen stands; in what order they lie does not depend on it."""
    return {
        widget: place._replace(order=())
        for widget, place in places.items()
        if place.clip.intersection(place.region) and app.main.size.region.overlaps(place.region)
    }


async def test_what_is_moved_up_stands_where_it_would_be_arranged(monkeypatch: pytest.MonkeyPatch) -> None:
    app, lifted, lengthen = StillApp(), [], MainScreen.lengthen

    def watched(self: MainScreen, widget: Any, by: int) -> bool:
        if done := lengthen(self, widget, by):
            arranged, _ = self._compositor._arrange_root(self, self.outer_size, visible_only=True)
            assert in_sight(app, self._compositor._visible_map or {}) == in_sight(app, arranged)
        lifted.append(done)
        return done

    monkeypatch.setattr(MainScreen, "lengthen", watched)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"

        async def draw(job: str, text: str) -> None:
            app.bridge._events.put(events.TokenDelta(job=job, text=text))
            await app.take_events()
            await pilot.pause()
            while app.main._layout_required or app.main._layout_widgets:
                await asyncio.sleep(0.01)

        await app.draw_chat([app.chat.add("user", "why?"), app.chat.begin("call-0", "chat")])
        await draw("call-0", f"- one\n- two\n\n```\ncode\n```\n\n{WORDS * 2}")
        await app.draw_chat([app.chat.add("user", "and?"), app.chat.begin("call-1", "chat")])
        for number in range(60):
            await draw("call-1", WORDS[number * 16 % 96 :][:16] + ("\n\n" if number == 30 else ""))
        assert lifted.count(True) > 5
        bar = app.parts.chat.vertical_scrollbar
        region = bar.outer_size.region
        slim = bar.render_lines(region)
        assert [list(line.simplify()) for line in slim] == [list(line.simplify()) for line in super(type(bar), bar).render_lines(region)]
        assert type(bar) is SlimScrollBar and len(slim) == region.height
        await pilot.pause(0.1)
        moved = drawn(app)
        app.main.refresh(layout=True)
        await pilot.pause(0.2)
        assert drawn(app) == moved
