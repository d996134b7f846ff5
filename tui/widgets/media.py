"""Pictures drawn in half cells (or by the terminal itself where it can), sounds as a waveform."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.containers import Vertical
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from tui.state.catalog import size
from tui.state.wave import wave
from tui.text import one_line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Size

WIDEST, TALLEST = 100, 32
"""Cells of a picture."""


class HalfCells(Widget):
    """A picture in upper half blocks: two pixels to a cell, one above the other."""

    def __init__(self, image: Any) -> None:
        super().__init__(classes="picture")
        self._image = image
        self._lines: list[Strip] = []

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        return self._cells(container.width)[0]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return self._cells(width)[1]

    def _cells(self, room: int) -> tuple[int, int]:
        """Width and height in cells: the picture's own proportions, no larger than it is, nor than the room."""
        width, height = self._image.size
        across = max(1, min(room or WIDEST, WIDEST, width, max(1, TALLEST * 2 * width // height)))
        return across, max(1, min(TALLEST, -(-round(across * height / width) // 2)))

    def render_line(self, y: int) -> Strip:
        across, down = self._cells(self.size.width)
        if len(self._lines) != down or (self._lines and self._lines[0].cell_length != across):
            self._lines = self._drawn(across, down)
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def _drawn(self, across: int, down: int) -> list[Strip]:
        pixels = self._image.resize((across, down * 2)).tobytes()

        def ink(x: int, y: int) -> str:
            at = (y * across + x) * 3
            return f"#{pixels[at]:02x}{pixels[at + 1]:02x}{pixels[at + 2]:02x}"

        return [
            Strip([Segment("▀", Style(color=ink(x, 2 * y), bgcolor=ink(x, 2 * y + 1))) for x in range(across)], across) for y in range(down)
        ]  # fmt: skip


class Wave(Static):
    """The form of a sound, as wide as there is room."""

    def __init__(self, peaks: list[tuple[float, float]]) -> None:
        super().__init__(classes="wave", markup=False)
        self._peaks = peaks

    def on_resize(self) -> None:
        self.update(Content.styled("\n".join(wave(self._peaks, max(1, self.content_size.width), self.content_size.height)), "$accent"))


class MediaView(Vertical):
    """One picture or sound (what ``engine.media`` gives), with its facts; or why it can't be shown."""

    def __init__(self, shown: Any) -> None:
        super().__init__(classes="media")
        self._shown = shown

    def compose(self) -> ComposeResult:
        shown = self._shown
        yield Static(Content.styled(facts(shown), "$text-muted"), markup=False)
        if hasattr(shown, "pixels"):
            yield drawn(shown)
        elif hasattr(shown, "peaks"):
            yield Wave(shown.peaks)
        else:
            parts = [(one_line(shown.why, 200), "$warning"), (f" {shown.hint}" if shown.hint else "", "$text-muted")]
            yield Static(Content.assemble(*parts), markup=False)


def facts(shown: Any) -> str:
    """A picture or a sound in a line."""
    parts = [one_line(shown.name, 60)] if shown.name else []
    if hasattr(shown, "pixels"):
        parts += [one_line(shown.format, 12), f"{shown.size[0]:,} x {shown.size[1]:,} pixels"]
    elif hasattr(shown, "peaks"):
        channels = {1: "mono", 2: "stereo"}.get(shown.channels, f"{shown.channels} channels")
        parts += [one_line(shown.format, 12), _span(shown.seconds), f"{shown.rate:,} Hz", channels]
    return " · ".join([*parts, size(shown.length)] if shown.length else parts)


def _span(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else f"{int(seconds // 60)}:{seconds % 60:04.1f} min"


def drawn(shown: Any) -> Widget:
    """A picture as the terminal draws it best."""
    from PIL import Image

    image = Image.frombytes("RGB", shown.thumb, shown.pixels)
    if (module := sys.modules.get("textual_image.widget")) is None:
        return HalfCells(image)
    best: Widget = module.Image(image, classes="picture -drawn")
    return best
