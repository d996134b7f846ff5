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
from tui.state.look import turns
from tui.text import cells, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events
    from textual.coordinate import Coordinate

WINDOW = 100
COLUMNS = 60
"""Columns drawn at once; moving past the last of them brings the next."""
LONGEST = 300
"""Cells that a column may take where there is room."""
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
MARK = "$text on $warning 35%"


def cell(value: object) -> str:
    """A value as text: strings as they are, conversations turn by turn, anything else as JSON, no more of it than a line
    shows."""
    if isinstance(value, str):
        return value
    if talk := turns(value):
        return " ▌ ".join(f"{role}: {words[:200]}" for role, words, _ in talk[:8])
    found = ""
    for part in _JSON.iterencode(value):
        found += part
        if len(found) > 2000:
            break
    return found


def as_json(value: object) -> str:
    """A value as JSON, all of it."""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


class RowsTable(DataTable[Text]):
    """Moving past an edge asks for the next window. The cursor stands on a cell, its row is tinted.

    What is told of places (``start``, ``total``, ``at``) counts the rows that are looked at; a filter or an order gives
    them other numbers, which the first column shows.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
    ]

    @dataclass
    class PageWanted(Message):
        start: int
        cursor: int

    def __init__(self) -> None:
        super().__init__(id="rows", cursor_type="cell", zebra_stripes=True, cell_padding=1, fixed_columns=1)
        self.start = 0
        self.total = 0
        self.names: list[str] = []
        self.numbers: list[int] = []
        self._rows: Sequence[dict[str, Any]] = []
        self._left = 0
        self._room = 0
        self._sort: dict[str, bool] = {}
        self._fitted: tuple[list[str], int, int] = ([], 0, 0)
        self._wanted: dict[str, int] = {}
        self._widths: dict[str, int] = {}

    def show(
        self,
        rows: Sequence[dict[str, Any]],
        start: int,
        total: int,
        at: int,
        room: int,
        *,
        names: Sequence[str] = (),
        numbers: Sequence[int] = (),
        sort: Sequence[tuple[str, bool]] = (),
    ) -> None:
        """Draw a window of rows; ``at`` is the row, counted in all that is looked at, that the cursor stands on; the
        widest columns give way where ``room`` cells are not enough. ``names`` are the columns to draw, ``numbers`` what
        the first column shows, ``sort`` marks the columns that the rows are ordered by."""
        before = self.column
        self.start, self.total, self._rows, self._room, self._sort = start, total, rows, room, dict(sort)
        self.names = list(names) or (list(rows[0]) if rows else [])
        self.numbers = list(numbers) or list(range(start, start + len(rows)))
        place = self.names.index(before) if before in self.names else 0
        if not self._left <= place < self._left + COLUMNS:
            self._left = max(0, min(place, len(self.names) - COLUMNS))
        self._draw(at - start, place)

    def _draw(self, row: int, place: int) -> None:
        """Draw the columns from ``_left`` on, the cursor in a row of the window and on a column of all."""
        self.clear(columns=True)
        shown = self.names[self._left : self._left + COLUMNS]
        fitted = ([self._title(name) for name in shown], self._room, self.total)
        if self._fitted != fitted:
            self._wanted = {}
        self._fitted = fitted
        looked_at = self._rows[max(0, row - 15) : max(0, row) + 15]
        for name in shown:
            here = max([3, cells(self._title(name)), *(cells(one_line(cell(line.get(name)), LONGEST)) for line in looked_at)])
            # From one window to the next a column only grows, so that the table does not jump to and fro.
            self._wanted[name] = max(here, self._wanted.get(name, 0))
        digits = max(3, len(f"{max(self.numbers, default=0):,}"))
        self._widths = dict(zip(shown, _fitting([self._wanted[name] for name in shown], self._room - digits - 3), strict=True))
        self.add_column(Text("row", justify="right"))
        for name in shown:
            self.add_column(Text(self._title(name)), width=self._widths[name])
        self.add_rows(
            [Text(f"{number:,}", style="dim", justify="right"), *(_drawn(row.get(name), self._widths[name]) for name in shown)]
            for number, row in zip(self.numbers, self._rows, strict=True)
        )
        self.move_cursor(row=max(0, row), column=place - self._left + 1 if shown else 0, scroll=True)

    def _title(self, name: str) -> str:
        arrow = {True: " ↓", False: " ↑"}.get(self._sort[name], "") if name in self._sort else ""
        return one_line(name, 40) + arrow

    @property
    def column(self) -> str:
        """The name of the column under the cursor, or an empty string."""
        place = self._left + self.cursor_column - 1
        return self.names[place] if self.cursor_column > 0 and place < len(self.names) else ""

    def move_to(self, name: str) -> None:
        """Put the cursor on a column that is drawn."""
        if name in self.names[self._left : self._left + COLUMNS]:
            self.move_cursor(column=self.names.index(name) - self._left + 1)

    def name_at(self, column: int) -> str:
        """The name of a drawn column; empty for the rows' numbers."""
        return self.names[self._left + column - 1] if 0 < column <= len(self.names) - self._left else ""

    @property
    def number(self) -> int:
        """The number in its split of the row under the cursor; -1 where there is no row."""
        return self.numbers[self.cursor_row] if 0 <= self.cursor_row < len(self.numbers) else -1

    def action_cursor_right(self) -> None:
        if self.cursor_column >= len(self.columns) - 1 and self._left + COLUMNS < len(self.names):
            place = self._left + COLUMNS
            self._left = min(self._left + COLUMNS // 2, len(self.names) - COLUMNS)
            self._draw(self.cursor_row, place)
        else:
            super().action_cursor_right()

    def action_cursor_left(self) -> None:
        if self.cursor_column > 1:
            super().action_cursor_left()
        elif self._left > 0:
            place = self._left - 1
            self._left = max(0, self._left - COLUMNS // 2)
            self._draw(self.cursor_row, place)

    def watch_cursor_coordinate(self, old_coordinate: Coordinate, new_coordinate: Coordinate) -> None:
        super().watch_cursor_coordinate(old_coordinate, new_coordinate)
        if old_coordinate.row != new_coordinate.row:
            self.refresh_row(old_coordinate.row)
            self.refresh_row(new_coordinate.row)

    def _get_row_style(self, row_index: int, base_style: Style) -> Style:
        style = super()._get_row_style(row_index, base_style)
        if row_index >= 0 and row_index == self.cursor_row:
            return style + self.get_component_styles("datatable--hover").rich_style
        return style

    def _post_selected_message(self) -> None:
        """The cursor is on a cell, but what is opened is its row."""
        if self.row_count:
            key, _ = self.coordinate_to_cell_key(self.cursor_coordinate)
            self.post_message(DataTable.RowSelected(self, self.cursor_row, key))

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
    low, high = 12, max([12, *widths])
    while low < high:
        most = (low + high + 1) // 2
        if sum(min(width, most) for width in widths) + 2 * len(widths) <= room:
            low = most
        else:
            high = most - 1
    return [min(width, low) for width in widths]


def _drawn(value: object, width: int) -> Text:
    if value is None:
        return Text("null", style="dim italic")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Text(one_line(cell(value), width), justify="right" if number else "left")


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
