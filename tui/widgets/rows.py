"""A table that holds one window of rows at a time, however long the dataset is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable

from tui.state.chat import support
from tui.text import clean, one_line

if TYPE_CHECKING:
    from textual import events

WINDOW = 100
MARK = "$text on $warning 35%"


def cell(value: object) -> str:
    """A value as text: strings as they are, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class RowsTable(DataTable[Text]):
    """Moving past an edge asks for the next window."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("j", "cursor_down", show=False), Binding("k", "cursor_up", show=False)]

    @dataclass
    class PageWanted(Message):
        start: int
        cursor: int

    def __init__(self) -> None:
        super().__init__(id="rows", cursor_type="row", zebra_stripes=True, cell_padding=1)
        self.start = 0
        self.total = 0

    def show(self, rows: list[dict[str, Any]], start: int, total: int, at: int, room: int) -> None:
        """Draw a window of rows; ``at`` is the row, counted in the whole split, that the cursor stands on; the
        widest columns give way where ``room`` cells are not enough."""
        self.clear(columns=True)
        self.start, self.total = start, total
        self.add_column(Text("row", justify="right"))
        names = list(rows[0]) if rows else []
        widths = [max([len(one_line(name, 40)), *(len(one_line(cell(row[name]), 60)) for row in rows[:20])]) for name in names]
        for name, width in zip(names, _fitting(widths, room - 10), strict=True):
            self.add_column(Text(one_line(name, 40)), width=max(3, width))
        self.add_rows(
            [Text(f"{start + number:,}", style="dim", justify="right"), *(Text(one_line(cell(row[name]), 60)) for name in names)]
            for number, row in enumerate(rows)
        )
        self.move_cursor(row=max(0, at - start), scroll=True)

    @property
    def at(self) -> int:
        """The row under the cursor, counted in the whole split."""
        return self.start + self.cursor_row

    def go(self, index: int) -> None:
        """Put the cursor on a row of the whole split, fetching its window if need be."""
        index = max(0, min(index, self.total - 1))
        if self.start <= index < self.start + self.row_count:
            self.move_cursor(row=index - self.start)
        else:
            self.post_message(self.PageWanted(index // WINDOW * WINDOW, index))

    def action_cursor_down(self) -> None:
        if self.cursor_row >= self.row_count - 1:
            if self.at + 1 < self.total:
                self.go(self.at + 1)
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        if self.cursor_row <= 0:
            if self.at > 0:
                self.go(self.at - 1)
        else:
            super().action_cursor_up()

    def action_page_down(self) -> None:
        self.go(self.at + max(1, self.size.height - 2))

    def action_page_up(self) -> None:
        self.go(self.at - max(1, self.size.height - 2))

    def action_scroll_top(self) -> None:
        self.go(0)

    def action_scroll_bottom(self) -> None:
        self.go(self.total - 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        if self.scroll_y >= self.max_scroll_y and self.start + self.row_count < self.total:
            event.stop()
            self.go(self.start + self.row_count)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        if self.scroll_y <= 0 and self.start > 0:
            event.stop()
            self.go(self.start - 1)


def _fitting(widths: list[int], room: int) -> list[int]:
    """The widths, the widest made narrower until all stand in ``room`` cells, but none below a dozen."""
    widths = list(widths)
    while widths and sum(widths) + 2 * len(widths) > room and max(widths) > 12:
        widths[widths.index(max(widths))] -= 1
    return widths


def whole_row(row: dict[str, Any], passage: str = "", answer: str = "") -> Content:
    """A row in full: each column under its name, conversations by turns, the sentence an answer rests on marked."""
    parts: list[Content | str] = []
    for name, value in row.items():
        parts += [Content.styled(one_line(name, 60), "bold $accent"), "\n"]
        if _is_turns(value):
            for turn in value:
                parts += [Content.styled(one_line(turn["role"], 20), "bold $secondary"), "\n", clean(turn.get("content", "")), "\n\n"]
        elif isinstance(value, str):
            parts += [marked(clean(value), clean(passage), clean(answer)), "\n\n"]
        else:
            parts += [clean(json.dumps(value, ensure_ascii=False, indent=1, default=str)), "\n\n"]
    return Content.assemble(*parts)


def marked(text: str, passage: str, answer: str) -> Content:
    """``text`` with the sentence of ``passage`` that supports ``answer`` marked; all of ``passage`` with no answer."""
    content = Content(text)
    if not passage.strip():
        return content
    at = text.find(passage.strip())
    if not answer:
        return content.stylize(MARK, at, at + len(passage.strip())) if at >= 0 else content
    if at < 0:
        at, passage = 0, text
    start, end = support(passage.strip(), answer)
    return content.stylize(MARK, at + start, at + end) if end else content


def _is_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) and "role" in turn for turn in value)
