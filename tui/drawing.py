"""The main screen, which asks only those widgets for their lines that are seen where something changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from textual._compositor import Compositor
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.scrollbar import ScrollBar, ScrollBarCorner
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from textual._compositor import CompositorMap
    from textual.map_geometry import MapGeometry
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

    def lift(self, panel: Widget, chain: Sequence[Widget], by: int) -> bool:
        """``chain``, the last parts of a panel that is scrolled to its end, from the outer to the inner one, are ``by`` lines
        longer: they are made longer and all in the panel goes up, with nothing arranged. Returns whether that was possible.
        """
        places = self._visible_map if self._visible_map is not None else self._full_map
        if any(widget not in places for widget in (panel, *chain)):
            return False
        whole = places[panel]
        self._visible_map, self._full_map_invalidated = Lifted(panel, chain, by, places).all(), True
        self._cuts = self._layers = self._layers_visible = self._visible_widgets = None
        self._dirty_regions.add(whole.region.shrink(panel.styles.gutter).intersection(whole.clip))
        for widget in (panel, *chain):
            place = self._visible_map[widget]
            widget._size_updated(place.region.size, place.virtual_size, place.container_size, layout=False)
        return True

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


@dataclass(frozen=True, slots=True)
class Lifted:
    """The places of widgets after ``chain`` at the end of ``panel`` became ``by`` lines longer, from those before."""

    panel: Widget
    chain: Sequence[Widget]
    by: int
    places: CompositorMap
    _seen: dict[Widget, Region] = field(default_factory=dict)

    def all(self) -> CompositorMap:
        """Those outside the panel as they were, those inside where they are still in sight."""
        bars = set(self.panel._get_virtual_dom())
        found: CompositorMap = {}
        for widget, place in self.places.items():
            if widget is self.panel:
                found[widget] = place._replace(virtual_size=_taller(place.virtual_size, self.by))
            elif widget in bars or self.panel not in widget.ancestors:
                found[widget] = place
            elif (moved := self._moved(widget, place)).clip.intersection(moved.region):
                found[widget] = moved
        return found

    def _moved(self, widget: Widget, place: MapGeometry) -> MapGeometry:
        region, longer = self._region(widget), self.by if widget in self.chain else 0
        owner = cast("Widget", widget.parent)
        if isinstance(widget, (ScrollBar, ScrollBarCorner)):
            # A bar has the edges and the place of the widget that it stands beside.
            return place._replace(region=region, clip=self._clip(owner), virtual_region=region)
        within = place.virtual_region
        return place._replace(
            region=region, clip=self._clip(widget), virtual_region=Region(within.x, within.y, within.width, within.height + longer),
            virtual_size=_taller(place.virtual_size, longer), container_size=_taller(place.container_size, longer),
        )  # fmt: skip

    def _region(self, widget: Widget) -> Region:
        x, y, width, height = self.places[widget].region
        return Region(x, y - self.by, width, height + (self.by if widget in self.chain else 0))

    def _clip(self, widget: Widget) -> Region:
        """Where a widget of the panel is seen: within its parent, and what that one is seen in."""
        parent = cast("Widget", widget.parent)
        if parent not in self._seen:
            region, clip = (
                (self.places[parent].region, self.places[parent].clip) if parent is self.panel else (self._region(parent), self._clip(parent))
            )
            self._seen[parent] = clip.intersection(parent._get_scrollable_region(region.shrink(parent.styles.gutter)))
        return self._seen[parent]


def _taller(size: Size, by: int) -> Size:
    return Size(size.width, size.height + by)


class Grows(Widget):
    """A widget that may take another line and moves nothing outside the panel that scrolls it."""


class MainScreen(Screen[Any]):
    """The screen that the panels are on. Where all that happened is that a widget grew (:class:`Grows`), what is out of
    sight is not arranged: in a long conversation that is nearly all."""

    def __init__(self) -> None:
        super().__init__(id="_default")
        self._compositor: NarrowCompositor = NarrowCompositor()
        self._moved = True

    async def _on_layout(self, message: Layout) -> None:
        self._moved = self._moved or not isinstance(message.widget, Grows)

    def refresh(self, *regions: Region, layout: bool = False, **how: bool) -> Self:
        self._moved = self._moved or layout
        return super().refresh(*regions, layout=layout, **how)

    def lengthen(self, widget: Widget, by: int) -> bool:
        """``widget``, which has its place, is ``by`` lines longer. Where it is the last part of a panel that stays at its end,
        that is seen to here, and ``True`` is returned; else it must ask for a layout."""
        chain = _chain(widget)
        if by < 1 or not chain or self._layout_required or self._layout_widgets or self.app._batch_count:
            return False
        panel = chain.pop(0)
        if not panel._anchored or panel._anchor_released or not panel.show_vertical_scrollbar or panel.scroll_y != panel.max_scroll_y:
            return False
        if not self._compositor.lift(panel, chain, by):
            return False
        for part in (panel, *chain):
            # What was arranged holds no longer, should anything be arranged.
            part._layout_cache.clear()
            part.clear_cached_dimensions()
            part._clear_arrangement_cache()
            part._layout_updates += 1
        end = panel.max_scroll_y
        panel.set_reactive(Widget.scroll_y, end)
        panel.set_reactive(Widget.scroll_target_y, end)
        panel.vertical_scrollbar._reactive_position = end  # type: ignore[attr-defined]
        return True

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        if not self._moved and size is None and self._layout_widgets:
            self._layout_widgets.clear()
            scroll = True
        self._moved = False
        super()._refresh_layout(size, scroll)


def _chain(widget: Widget) -> list[Widget]:
    """The panel that scrolls ``widget``, what is between, and ``widget``, where each is the last that is shown in the one
    before and as high as what it holds; else nothing."""
    found = [widget]
    while isinstance(parent := found[0].parent, Widget):
        last = next((node for node in reversed(parent._nodes) if node.display), None)
        if last is not found[0]:
            return []
        found.insert(0, parent)
        if parent._anchored:
            return found
        height = parent.styles.height
        if height is None or not height.is_auto or parent.styles.max_height is not None or parent.styles.min_height is not None:
            return []
    return []
