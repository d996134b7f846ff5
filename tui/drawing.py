"""The main screen, which asks only those widgets for their lines that lie where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual._compositor import Compositor
from textual.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.geometry import Region
    from textual.strip import Strip


class NarrowCompositor(Compositor):
    """Textual (pinned) asks each widget whose container lies where something changed: a word more in an answer had the
    whole screen put together again."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            if shown and (crop is None or crop.overlaps(shown)):
                yield region, clip, widget.render_lines(shown.translate((-region.x, -region.y)))


class MainScreen(Screen[Any]):
    """The screen that the panels are on."""

    def __init__(self) -> None:
        super().__init__(id="_default")
        self._compositor = NarrowCompositor()
