"""A chart on the screen. It is drawn once for what it shows; the cursor that reads it moves over the finished picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.geometry import NULL_SPACING, Region
from textual.strip import Strip
from textual.widget import Widget

from tui.state.plot import FRAME, Plot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CURSOR = Style(color="rgb(150,150,150)")


class PlotView(Widget):
    """What :meth:`show` is given draws for a width and a height in cells; ``inks`` are the colours of the lines."""

    DEFAULT_CSS = "PlotView { height: 1fr; background: $surface; color: $foreground; }"

    def __init__(self, *, id: str) -> None:  # noqa: A002 -- Textual's name for it
        super().__init__(id=id)
        self._inks: list[Style] = []
        self._make: Callable[[int, int], Plot] = lambda _width, _height: Plot()
        self._plot: Plot | None = None
        self._strips: dict[int, Strip] = {}
        self._at: float | None = None

    def show(self, make: Callable[[int, int], Plot], inks: Iterable[tuple[int, int, int]], at: float | None = None) -> None:
        """Draw something else, with the cursor at ``at``."""
        self._make, self._plot, self._at = make, None, at
        self._inks = [Style(color=f"rgb({red},{green},{blue})") for red, green, blue in inks]
        self.refresh()

    @property
    def plot(self) -> Plot:
        """What is drawn, for the size that the widget has."""
        if self._plot is None:
            self._plot, self._strips = self._make(*self.size), {}
        return self._plot

    def on_resize(self) -> None:
        self._plot = None

    def notify_style_update(self) -> None:
        self._strips = {}
        super().notify_style_update()

    def point_to(self, at: float | None) -> None:
        """Move the cursor; only the columns that it leaves and comes to are drawn again."""
        before, self._at = self._cursor, at
        if before != (now := self._cursor):
            self.refresh(*(Region(column, 0, 1, self.size.height) for column in (before, now) if column is not None))

    @property
    def _cursor(self) -> int | None:
        return self.plot.cell(self._at) if self._at is not None else None

    def render_lines(self, crop: Region) -> list[Strip]:
        """With no border and no padding, its lines are what is drawn: nothing is put around them."""
        if self.styles.gutter != NULL_SPACING or (crop.x, crop.width) != (0, self.outer_size.width):
            return super().render_lines(crop)
        lines, filters = [self.render_line(y) for y in crop.line_range], self.get_line_filters()
        for line_filter in filters:
            lines = [line.apply_filter(line_filter, self.background_colors[1]) for line in lines]
        return lines

    def render_line(self, y: int) -> Strip:
        base, width = self.visual_style.rich_style, self.outer_size.width
        rows = self.plot.rows
        if y >= len(rows):
            return Strip.blank(width, base)
        if (strip := self._strips.get(y)) is None:
            pieces = [Segment(text, base if ink == FRAME else base + self._inks[ink]) for text, ink in rows[y]]
            strip = self._strips[y] = Strip(pieces).adjust_cell_length(width, base)
        if (cursor := self._cursor) is None or not 0 < y < len(rows) - 2:
            return strip
        left, at, right = strip.divide([cursor, cursor + 1, width])
        return Strip.join([left, Strip([Segment("│", base + CURSOR)]) if at.text == " " else at, right])
