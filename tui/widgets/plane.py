"""The map itself: dots in colours, a cursor, and a box that is being chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.dots import Grid, Window, draw, inside, nearest

if TYPE_CHECKING:
    from textual import events

COLOURS = (
    "#6fb07f", "#d9a24a", "#7fa7c9", "#d9695f", "#b48ead", "#5fb3b3", "#e0c35a", "#c98a6b", "#8f9fe0", "#9ac26b", "#e08ab0", "#6a9fb5",
)  # fmt: skip
DIM = "#5a6a72"


class Plane(Widget, can_focus=True):
    """Shows points (``x``, ``y`` from 0 to 1) by their category. The cursor is a cell; ``box`` is chosen cells, or none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"move({dx}, {dy})", show=False) for key, dx, dy in (
            ("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1), ("h", -1, 0), ("l", 1, 0), ("k", 0, -1), ("j", 0, 1),
            ("shift+left", -8, 0), ("shift+right", 8, 0), ("shift+up", 0, -4), ("shift+down", 0, 4),
        )),
        Binding("plus,equals_sign", "zoom(1.5)", "Zoom", key_display="+ -"),
        Binding("minus", "zoom(0.667)", show=False),
        Binding("0", "whole", "Whole"),
        Binding("space", "corner", "Corner"),
        Binding("enter", "choose", "Choose"),
    ]  # fmt: skip

    @dataclass
    class Moved(Message):
        """The cursor is near another point."""

        point: int

    @dataclass
    class Chosen(Message):
        """Enter: what to do with the chosen box, if there is one."""

        points: Any

    def __init__(self) -> None:
        super().__init__(id="plane")
        self._x: Any = None
        self._y: Any = None
        self._category: Any = None
        self._signs = False
        self._only = -1
        self._grid: Grid | None = None
        self._corner: tuple[int, int] | None = None
        self._dragging = False
        self.window = Window()
        self.cursor = (0, 0)
        self._sized = (0, 0)
        self.box: tuple[int, int, int, int] | None = None

    def show(self, x: Any, y: Any, category: Any, *, signs: bool, only: int) -> None:
        """Draw these points; ``only`` one category in its colour, or -1."""
        self._x, self._y, self._category, self._signs, self._only = x, y, category, signs, only
        self.redraw()

    def redraw(self) -> None:
        """Everything is drawn anew."""
        if self._x is None or not self.size.width or not self.size.height:
            return
        size = self.size
        self._grid = draw(self.window, self._x, self._y, self._category, size.width, size.height, signs=self._signs, only=self._only)
        self.refresh()
        self._tell()

    def on_resize(self) -> None:
        width, height = self.size
        # The cursor stays at its place in the picture: at first in the middle.
        before, (column, row) = self._sized, self.cursor
        self.cursor = (column * width // before[0], row * height // before[1]) if all(before) else (width // 2, height // 2)
        self._sized = (width, height)
        self._unbox()
        self.redraw()

    def render_line(self, y: int) -> Strip:
        grid = self._grid
        base = self.rich_style
        if grid is None or y >= len(grid.characters) or len(grid.characters[y]) != self.size.width:
            return Strip.blank(self.size.width, base)
        characters, categories = grid.characters[y].tolist(), grid.categories[y].tolist()
        if self._only >= 0:
            categories = [category if category == self._only else -1 for category in categories]
        cursor = self.cursor[0] if self.has_focus and y == self.cursor[1] else -1
        left, right = self._chosen_in(y)
        segments: list[Segment] = []
        text, last = "", (-9, False, False)
        for column, (character, category) in enumerate(zip(characters, categories, strict=True)):
            kind = (category if character != " " else -2, left <= column <= right, column == cursor)
            if kind != last and text:
                segments.append(Segment(text, self._style(base, last)))
                text = ""
            last = kind
            text += character
        segments.append(Segment(text, self._style(base, last)))
        return Strip(segments, self.size.width)

    def _style(self, base: Style, kind: tuple[int, bool, bool]) -> Style:
        category, chosen, cursor = kind
        style = base + Style(color=COLOURS[category % len(COLOURS)] if category >= 0 else DIM)
        return style + Style(reverse=True, bold=True) if cursor else style + Style(bgcolor="#33424b", bold=True) if chosen else style

    def _chosen_in(self, row: int) -> tuple[int, int]:
        """The columns of the box in a line; nothing is between 0 and -1."""
        if self.box is None or not min(self.box[1], self.box[3]) <= row <= max(self.box[1], self.box[3]):
            return 0, -1
        return min(self.box[0], self.box[2]), max(self.box[0], self.box[2])

    def points(self) -> Any:
        """The points in the box; none without a box."""
        if self.box is None or self._x is None:
            return []
        found = inside(self.window, self._x, self._y, self.size.width, self.size.height, self.box)
        return found if self._only < 0 else found[self._category[found] == self._only]

    def _tell(self) -> None:
        if self._x is not None and len(self._x):
            self.post_message(self.Moved(nearest(self.window, self._x, self._y, self.size.width, self.size.height, *self.cursor)))

    def _unbox(self) -> None:
        self._corner = self.box = None

    def back(self) -> bool:
        """Let the box go; returns false when there is none."""
        had = self.box is not None
        self._unbox()
        self.refresh()
        return had

    # -- keys and mouse ----------------------------------------------------------------------------------------

    def action_move(self, dx: int, dy: int) -> None:
        width, height = self.size.width, self.size.height
        column, row = self.cursor[0] + dx, self.cursor[1] + dy
        beyond = not (0 <= column < width and 0 <= row < height)
        self.cursor = (min(width - 1, max(0, column)), min(height - 1, max(0, row)))
        if beyond and self.window.zoom > 1:
            self._unbox()
            self.window = self.window.moved(0.1 * (dx > 0) - 0.1 * (dx < 0), 0.1 * (dy < 0) - 0.1 * (dy > 0))
            self.redraw()
            return
        if self._corner:
            self.box = (*self._corner, *self.cursor)
        self.refresh()
        self._tell()

    def action_zoom(self, by: float) -> None:
        self._unbox()
        x = self.window.left + (self.cursor[0] + 0.5) / self.size.width / self.window.zoom
        y = self.window.bottom + (1 - (self.cursor[1] + 0.5) / self.size.height) / self.window.zoom
        self.window = self.window.zoomed(by, x, y)
        self.redraw()

    def action_whole(self) -> None:
        self._unbox()
        self.window = Window()
        self.redraw()

    def action_corner(self) -> None:
        """The first corner of a box; moving stretches it. Again: the box stands, or a new one begins."""
        if self._corner:
            self._corner = None
        else:
            self._corner, self.box = self.cursor, (*self.cursor, *self.cursor)
        self.refresh()
        self._tell()

    def action_choose(self) -> None:
        self.post_message(self.Chosen(self.points()))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.focus()
        self.capture_mouse()
        self._unbox()
        self._dragging, self.cursor = True, (event.x, event.y)
        self.refresh()
        self._tell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            first = self.box[:2] if self.box else self.cursor
            self.cursor = (min(self.size.width - 1, max(0, event.x)), min(self.size.height - 1, max(0, event.y)))
            self.box = (*first, *self.cursor)
            self.refresh()
            self._tell()

    def on_mouse_up(self) -> None:
        self._dragging = False
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(1.5)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(0.667)
