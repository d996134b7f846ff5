"""The datasets' table and the row, as a person uses them, with a real engine."""

from __future__ import annotations

import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.fakes.pictures import png, put_media, wav
from tests.fakes.tables import put
from tests.tui.test_flows import until
from tui.app import BitternApp
from tui.messages import OpenView, RunLine, RunVerb
from tui.panels.rows import DatasetDetail
from tui.screens.edit import EditScreen
from tui.widgets.chatbox import ChatBox
from tui.widgets.detail import RowView
from tui.widgets.media import HalfCells, Wave
from tui.widgets.prompt import Line, Prompt
from tui.widgets.rows import COLUMNS, RowsTable
from tui.widgets.schema import Schema
from tui.widgets.values import PIECE, JsonTree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.message import Message
    from textual.pilot import Pilot

    from engine.engine import Engine

TICKETS = {"text": [f"row {n}" for n in range(250)], "label": ["ab"[n % 2] for n in range(250)], "n": [n * 7 % 250 for n in range(250)]}


class Desk:
    """An open screen, with the detail of one dataset in it, and everything that was asked of the app."""

    def __init__(self, app: BitternApp, pilot: Pilot[Any], asked: list[Message]) -> None:
        self.app, self.pilot, self.asked = app, pilot, asked
        self.detail = app.main.query_one(DatasetDetail)

    @property
    def table(self) -> RowsTable:
        return self.app.main.query_one(RowsTable)

    @property
    def told(self) -> str:
        return str(self.app.main.query_one("#detail").border_subtitle)

    @property
    def column(self) -> list[str]:
        """The first cell of the rows that are drawn."""
        return [str(self.table.get_row_at(row)[1]) for row in range(self.table.row_count)]

    def of(self, kind: type) -> list[Any]:
        # The hook sees a message at each widget that it bubbles through.
        return list({id(message): message for message in self.asked if isinstance(message, kind)}.values())

    async def line(self, key: str, text: str) -> None:
        """Open a prompt, fill it in, send it."""
        await self.pilot.press(key)
        await until(lambda: isinstance(self.app.focused, Line))
        self.app.main.query_one(Line).value = text
        await self.pilot.press("enter")


@asynccontextmanager
async def desk(engine: Engine, name: str, size: tuple[int, int] = (100, 24)) -> AsyncIterator[Desk]:
    root = engine.workspace.paths.root
    engine.close(1)
    asked: list[Message] = []
    app = BitternApp(root, warm=False, starter=False)
    async with app.run_test(size=size, message_hook=asked.append) as pilot:
        await until(lambda: app.bridge.engine and app.catalog.find_dataset(name))
        opened = app.engine
        await app.show_detail("dataset", name)
        await until(lambda: app.main.query(RowsTable) and app.main.query_one(DatasetDetail)._view)
        yield Desk(app, pilot, asked)
    opened.close(1)


async def test_filter_and_order(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS, "test": {key: values[:30] for key, values in TICKETS.items()}})
    async with desk(engine, "tickets") as at:
        await at.line("f", "label = 'b' AND n < 20")
        await until(lambda: at.told.startswith("label = 'b' AND n < 20 · 10 of 250"))
        assert not at.app.main.query_one(Prompt).display
        assert at.app.focused is at.table
        assert all(int(row.split()[1]) % 2 for row in at.column)
        await at.pilot.press("right", "right", "o")
        await until(lambda: "by n ↑" in at.told)
        assert [str(at.table.get_row_at(row)[3]) for row in range(10)] == [str(n) for n in range(1, 20, 2)]
        await at.pilot.press("o")
        await until(lambda: "by n ↓" in at.told)
        await at.pilot.press("o")
        await until(lambda: "by n" not in at.told)
        await at.pilot.press("s")
        await until(lambda: at.told.endswith("of 30"))
        await at.line("f", "")
        await until(lambda: at.told == "" and at.table.total == 30)


async def test_a_wrong_filter_is_pointed_at_and_changes_nothing(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets") as at:
        await at.line("f", "labl = 'b'")
        wrong = at.app.main.query_one("#prompt-told")
        await until(lambda: "^^^^" in str(wrong.render()))
        assert "Did you mean label?" in str(wrong.render())
        assert at.table.total == 250
        at.app.main.query_one(Line).value = ""
        await at.pilot.press(*"lab")
        await at.pilot.pause(0.1)
        await at.pilot.press("tab")
        assert at.app.main.query_one(Line).value == "label"
        await at.pilot.press("escape")
        assert not at.app.main.query_one(Prompt).display
        assert at.detail.look is not None and at.detail.look.plain


async def test_esc_stops_a_filter_that_takes_long(engine: Engine) -> None:
    put(engine, "tickets", {"train": {"n": list(range(20_000))}})
    async with desk(engine, "tickets") as at:
        await at.line("f", "n + (SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range = n) = -1")
        await until(lambda: "Esc stops it" in at.told)
        await at.pilot.press("escape")
        await until(lambda: "Esc" not in at.told)
        assert at.table.total == 20_000
        assert at.app.main.query_one(Prompt).display, "the line can be mended"


async def test_rows_keep_their_numbers_in_a_filter(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets") as at:
        await at.line("f", "label = 'b'")
        await until(lambda: at.table.total == 125)
        await at.line("g", "201")
        await until(lambda: at.table.number == 201)
        await at.line("g", "200")
        await until(lambda: "does not fit" in str(at.app.main.query_one("#prompt-told").render()))
        await at.pilot.press("escape", "enter")
        await until(lambda: at.detail.in_row)
        assert at.detail.address == "tickets/train/201"
        await at.pilot.press("n")
        await until(lambda: at.detail.address == "tickets/train/203")
        await at.pilot.press("escape")
        assert at.table.number == 203


async def test_columns_are_hidden_and_shown(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets") as at:
        await at.pilot.press("h")
        assert at.table.names == ["label", "n"]
        assert at.table.column == "label"
        assert at.told == "1 hidden"
        await at.pilot.press("y")
        await until(lambda: isinstance(at.app.focused, Schema))
        await at.pilot.press("enter", "escape")
        await until(lambda: at.table.names == ["text", "label", "n"])
        await at.pilot.press("h", "h", "h")
        assert len(at.table.names) == 1, "the last one stays"
        await at.pilot.press("H")
        assert at.table.names == ["text", "label", "n"]


async def test_what_is_taken_from_a_table(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets") as at:
        await at.pilot.press("down", "c")
        assert at.app.clipboard == "row 1"
        await at.pilot.press("C")
        assert json.loads(at.app.clipboard) == {"text": "row 1", "label": "b", "n": 7}
        await at.pilot.press("q")
        await until(lambda: at.app.screen is not at.app.main)
        await at.pilot.press("escape")
        await until(lambda: at.app.screen is at.app.main)
        assert [message.line for message in at.of(RunLine)] == ["sql"]
        await at.line("f", "label = 'b'")
        await until(lambda: at.table.total == 125)
        await at.pilot.press("x")
        box = at.app.main.query_one(ChatBox)
        await until(lambda: box.text)
        assert box.text == "/export tickets/train --where \"label = 'b'\" "


async def test_a_header_is_clicked_and_another_place_opens_a_view(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS, "test": TICKETS})
    async with desk(engine, "tickets") as at:
        await until(lambda: at.table.size.width)
        await at.pilot.click(RowsTable, offset=(8, 0))
        await until(lambda: "by text ↑" in at.told)
        at.app.post_message(OpenView("tickets", "test", "n = 3"))
        await until(lambda: at.told == "n = 3 · 1 of 250")
        assert at.detail.look is not None and at.detail.look.split == "test"
        at.app.post_message(OpenView("gone", "", ""))
        await until(lambda: any("gone" in n.message for n in at.app._notifications))


async def test_labels_by_one_key_a_row(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS}, shape="classification", columns={"text": "text", "label": "label"})
    async with desk(engine, "tickets") as at:
        await at.pilot.press("2")
        assert not at.of(RunVerb), "the number keys mean nothing yet"
        await at.pilot.press("l")
        bar = at.app.main.query_one("#labels")
        await until(lambda: bar.display)
        assert "1  a" in str(bar.render()) and "2  b" in str(bar.render())
        await at.pilot.press("2", "enter")
        await until(lambda: at.detail.in_row)
        await at.pilot.press("1", "9", "l", "1", "u")
        sent = [(message.verb, {**message.values}) for message in at.of(RunVerb)]
        versions = [values.pop("at", "") for _, values in sent]
        assert sent == [
            ("label", {"address": "tickets/train/0", "value": "b"}),
            ("label", {"address": "tickets/train/1", "value": "a"}),
            ("undo", {"dataset": "tickets"}),
        ]
        assert versions[0] == "f1" and versions[1], "each names the rows it was read from"
        assert not bar.display


async def test_labels_for_rows_that_have_none(engine: Engine) -> None:
    put(engine, "notes", {"train": {"text": ["x", "y"]}})
    async with desk(engine, "notes") as at:
        await at.line("l", "good")
        assert "Two to 9" in str(at.app.main.query_one("#prompt-told").render())
        await at.line("l", "good, bad, good")
        await until(lambda: at.app.main.query_one("#labels").display)
        await at.pilot.press("1")
        assert at.of(RunVerb)[0].values["value"] == "bad"


async def test_a_cell_is_edited(engine: Engine) -> None:
    long = "several\nlines"
    put(engine, "notes", {"train": {"text": ["x", long], "tags": [["a"], ["b"]]}})
    async with desk(engine, "notes") as at:
        await at.pilot.press("e")
        await until(lambda: isinstance(at.app.focused, Line))
        assert at.app.main.query_one(Line).value == "x"
        at.app.main.query_one(Line).value = 'it\'s "new"'
        await at.pilot.press("enter", "e")
        await until(lambda: isinstance(at.app.focused, Line))
        at.app.main.query_one(Line).value = ""
        await at.pilot.press("enter", "down", "e")
        page: Any = await until(lambda: at.app.screen if isinstance(at.app.screen, EditScreen) else None)
        page.query_one("#edited").text = "other"
        await at.pilot.press("ctrl+s")
        await until(lambda: len(at.of(RunVerb)) == 3)
        sent = [{**message.values} for message in at.of(RunVerb)]
        assert [values.pop("at") for values in sent][0] == "f1", "each names the rows it was read from"
        assert sent == [
            {"address": "notes/train/0", "column": "text", "value": 'it\'s "new"'},
            {"address": "notes/train/0", "column": "text", "empty": True},
            {"address": "notes/train/1", "column": "text", "value": "other"},
        ]


async def test_a_new_version_is_drawn_in_the_same_place(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets") as at:
        await at.line("f", "label = 'b'")
        await until(lambda: at.table.total == 125)
        await at.line("g", "201")
        await until(lambda: at.table.number == 201)
        changed = {**TICKETS, "text": [f"new {n}" for n in range(250)]}
        put(at.app.engine, "tickets", {"train": changed}, "f2")
        await at.app.read_catalog()
        await until(lambda: at.column[0].startswith("new"))
        assert at.table.number == 201
        assert at.table.total == 125
        at.app.engine.workspace.datasets.remove("tickets")
        await at.app.read_catalog()
        assert "forgotten" in str(at.app.main.query_one("#dataset-facts").render())
        await at.pilot.press("f", "o", "h", "l", "e", "c", "n", "g", "y", "x", "escape")


async def test_many_columns_are_drawn_some_at_a_time(engine: Engine) -> None:
    count = COLUMNS * 2 + 5
    put(engine, "wide", {"train": {f"c{n}": [n, n + 1] for n in range(count)}})
    async with desk(engine, "wide") as at:
        assert len(at.table.columns) == COLUMNS + 1
        for number in range(1, count):
            at.table.action_cursor_right()
            assert at.table.column == f"c{number}"
        at.table.action_cursor_right()
        assert at.table.column == f"c{count - 1}"
        for number in reversed(range(count - 1)):
            at.table.action_cursor_left()
            assert at.table.column == f"c{number}"


async def test_a_long_row_is_drawn_as_far_as_it_is_scrolled_to(engine: Engine) -> None:
    words = random.Random(1)
    long = " ".join("".join(words.choices("abcdefg", k=7)) for _ in range(20_000))
    put(engine, "books", {"train": {"text": [long], "end": ["the last column"]}})
    async with desk(engine, "books") as at:
        await at.pilot.press("enter")
        view = at.app.main.query_one(RowView)
        await until(lambda: view.query(".value"))
        assert len(view.query(".value")) < len(long) / PIECE / 4
        for _ in range(60):
            view.scroll_end(animate=False)
            await at.pilot.pause(0.02)
            if view._ended:
                break
        drawn = " ".join(" ".join(str(part.render()) for part in view.query(".value")).split())
        assert drawn == f"{long} the last column"


async def test_json_is_a_tree_and_a_conversation_has_turns(engine: Engine) -> None:
    deep: Any = {"a": [{"b": "x" * 300, "c": None}], "d": list(range(500))}
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "[red]yes"}]
    put(engine, "rows", {"train": {"messages": [talk], "meta": [json.dumps(deep)], "broken": ["{not json"]}})
    async with desk(engine, "rows") as at:
        await at.pilot.press("enter")
        view = at.app.main.query_one(RowView)
        tree = await until(lambda: next(iter(view.query(JsonTree)), None))
        assert [str(role.render()).strip() for role in view.query(".role")] == ["▌ user", "▌ assistant"]
        assert "[red]yes" in [str(part.render()) for part in view.query(".turn")]
        assert "{not json" in [str(part.render()) for part in view.query(".value")]
        tree.focus()
        await at.pilot.press("end", "enter")
        numbers = tree.root.children[-1]
        await until(lambda: len(numbers.children) == 201)
        await at.pilot.press("end", "enter")
        await until(lambda: len(numbers.children) == 401)
        text = tree.root.children[0].children[0].children[0]
        text.expand()
        await until(lambda: text.children)
        assert "".join(str(line.label) for line in text.children) == "x" * 300


async def test_a_picture_and_a_sound_are_drawn(engine: Engine) -> None:
    put_media(engine, "pictures", "file", [{"bytes": png(40, 20), "path": "a.png"}, {"bytes": wav(), "path": "b.wav"}, {"bytes": b"?", "path": "c"}])
    async with desk(engine, "pictures", (80, 24)) as at:
        await at.pilot.press("enter")
        picture = await until(lambda: next(iter(at.app.main.query(HalfCells)), None))
        await until(lambda: picture.size.width)
        assert (picture.size.width, picture.size.height) == (40, 10)
        assert picture.render_line(0).text == "▀" * 40
        assert "40 x 20 pixels" in str(at.app.main.query_one(".media Static").render())
        await at.pilot.press("n")
        sound = await until(lambda: next(iter(at.app.main.query(Wave)), None))
        await until(lambda: str(sound.render()).strip("⠀\n"))
        assert "0.50 s · 8,000 Hz · mono" in str(at.app.main.query_one(".media Static").render())
        await at.pilot.press("n")
        await until(lambda: at.detail.number == 2 and at.app.main.query(".media"))
        assert "no picture or sound" in "".join(str(part.render()) for part in at.app.main.query(".media Static"))
        await at.pilot.press("escape", "e")
        assert not at.app.main.query_one(Prompt).display, "a picture is not edited as text"


async def test_no_size_breaks_it(engine: Engine) -> None:
    put(engine, "tickets", {"train": TICKETS})
    async with desk(engine, "tickets", (20, 5)) as at:
        await at.pilot.press("f", "escape", "y", "escape")
        await at.pilot.resize_terminal(250, 60)
        await at.pilot.press("f", "escape")
        assert at.table.row_count == 100
