"""The main screen, which asks only those widgets for their lines that are seen where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual._compositor import Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from textual.geometry import Size
    from textual.messages import Layout
    from textual.strip import Strip


class NarrowCompositor(Compositor):
    """Textual (pinned) asks each widget whose container lies where something changed for all of its lines: a word more in
    an answer had the whole screen put together again."""

    def _render_chops(self, crop: Region, is_rendered_line: Callable[[int], bool]) -> Sequence[Mapping[int, Strip]]:
        """The pieces of each line between the edges of widgets, as Textual puts them together from the front to the back; a
        widget is asked for those lines alone of which a piece within ``crop`` is still missing when its turn comes."""
        cuts = self.cuts
        chops: list[dict[int, Strip | None]] = [dict.fromkeys(line[:-1]) for line in cuts]
        missing = {
            y: {x for x, end in zip(cuts[y], cuts[y][1:], strict=False) if end > crop.x and x < crop.right}
            for y in crop.line_range
            if 0 <= y < len(cuts) and is_rendered_line(y)
        }
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            if not shown or not crop.overlaps(shown):
                continue
            left, right = shown.column_span
            wanted = [y for y in shown.line_range if missing.get(y)]
            if not wanted:
                continue
            top = wanted[0]
            strips = widget.render_lines(Region(left - region.x, top - region.y, shown.width, wanted[-1] + 1 - top))
            for y in wanted:
                if y - top >= len(strips):
                    break
                line, lacks = chops[y], missing[y]
                edges = [x for x in cuts[y] if left <= x <= right]
                # A strip that is shorter than it should be leaves pieces to what is behind it.
                for x, piece in zip(edges, strips[y - top].divide([x - left for x in edges[1:]]), strict=False):
                    if line[x] is None:
                        line[x] = piece
                        lacks.discard(x)
        return cast("Sequence[Mapping[int, Strip]]", chops)

    def reflow_visible(self, parent: Widget, size: Size) -> set[Widget]:
        """Textual's way for scrolling, for widgets that grow too: places only what is in sight, and returns what came into
        sight or has another size."""
        if self._visible_map is None:
            self._visible_map = self._full_map
        before = self._visible_map
        found = super().reflow_visible(parent, size)
        for widget, place in self._visible_map.items():
            if (was := before.get(widget)) is None or was == place:
                continue
            if was.region.size != place.region.size:
                found.add(widget)
            else:
                # What it scrolls over may have grown; that is no event.
                widget._size_updated(place.region.size, place.virtual_size, place.container_size, layout=False)
        return found


class Grows(Widget):
    """A widget that may take another line and moves nothing outside the panel that scrolls it."""


class MainScreen(Screen[Any]):
    """The screen that the panels are on. Where all that happened is that a widget grew (:class:`Grows`), what is out of
    sight is not arranged: in a long conversation that is nearly all."""

    def __init__(self) -> None:
        super().__init__(id="_default")
        self._compositor = NarrowCompositor()
        self._moved = True

    async def _on_layout(self, message: Layout) -> None:
        self._moved = self._moved or not isinstance(message.widget, Grows)

    def refresh(self, *regions: Region, layout: bool = False, **how: bool) -> Self:
        self._moved = self._moved or layout
        return super().refresh(*regions, layout=layout, **how)

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        if not self._moved and size is None and self._layout_widgets:
            self._layout_widgets.clear()
            scroll = True
        self._moved = False
        super()._refresh_layout(size, scroll)
