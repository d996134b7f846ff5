"""A scroll bar that costs little: beside an answer that grows it is another in every picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.scrollbar import ScrollBar
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.geometry import Region


class SlimScrollBar(ScrollBar):
    """Textual's upright bar to the last cell. Of its many cells but a few differ: each kind is made once, where Textual
    has every cell go through a console and a box of its own."""

    def render_lines(self, crop: Region) -> list[Strip]:
        width, height = self.outer_size
        made: Any = self.render()
        if not self.vertical or (crop.x, crop.width) != (0, width) or not isinstance(made.style, Style):
            return super().render_lines(crop)
        colours = {"back_color": made.style.bgcolor, "bar_color": made.style.color}
        bar = made.render_bar(height, made.virtual_size, made.window_size, made.position, thickness=width, **colours)
        base, kinds = self.visual_style.rich_style, {}
        for segment in bar.segments:
            if id(segment) not in kinds:
                strip = Strip([Segment(segment.text, base + segment.style)], width)
                for line_filter in self.get_line_filters():
                    strip = strip.apply_filter(line_filter, self.background_colors[1])
                kinds[id(segment)] = strip
        return [kinds[id(segment)] for segment in bar.segments[crop.y : crop.bottom]]
