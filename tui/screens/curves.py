"""The figures of several jobs on one chart, with a cursor that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from engine.errors import BitternError
from tui.state.curves import CurvesView
from tui.state.plot import INKS, clock
from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine
from tui.widgets.plot import PlotView

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from tui.bridge import Bridge


class CurvesScreen(Screen[None]):
    """``name`` is ``JOB,JOB;METRIC;SMOOTHING;LOG;BY;START;END``."""

    CSS = """
    #curves-title { height: auto; max-height: 2; background: $panel; padding: 0 1; }
    #curves-reading { height: auto; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Back a step", show=False), Binding("right", "step(1)", "On a step", show=False),
        Binding("shift+left,pageup", "step(-20)", show=False), Binding("shift+right,pagedown", "step(20)", show=False),
        Binding("home", "step(-1000000)", show=False), Binding("end", "step(1000000)", show=False),
        Binding("m", "metric(1)", "Figure"), Binding("M", "metric(-1)", show=False), Binding("s", "smooth", "Smoothing"), Binding("l", "log", "Log"),
        Binding("t", "time", "Time"), Binding("plus,equals_sign", "zoom(0.5)", "Closer", key_display="+"),
        Binding("minus", "zoom(2)", "Wider", key_display="-"), Binding("0", "zoom(0)", "All", show=False),
        Binding("escape", "dismiss", "Back"),
    ]  # fmt: skip

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self.view = CurvesView.of(name)

    def compose(self) -> ComposeResult:
        yield Static(id="curves-title", markup=False)
        yield PlotView(id="curves-plot")
        yield Static(id="curves-reading", markup=False)
        yield KeyLine()

    async def on_mount(self) -> None:
        await self._read()
        self.set_interval(2, self._follow)

    async def _follow(self) -> None:
        if self.view.running:
            await self._read()

    async def _read(self) -> None:
        from engine.commands.registry import command

        values, engine = self.view.values(), self._bridge.engine
        if engine is None:
            return
        try:
            result = await self._bridge.call(lambda: engine.run(command("curves")(**values)))
        except BitternError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        if values == self.view.values() and result.data != self.view.data:
            self.view.take(result.data)
            self.draw()

    def draw(self) -> None:
        """The lines, the cursor and what it reads."""
        view = self.view
        self.query_one(PlotView).show(view.draw, INKS, view.at)
        part = [clock(value) if view.by == "time" else f"{value:,.0f}" for value in (view.start, view.end) if value is not None]
        told = [view.metric.replace("_", " "), f"smoothing {view.smooth:g}", "log" if view.log else "linear", f"by {view.by}"]
        told += [f"{part[0]} to {part[-1]}"] if part else []
        self.query_one("#curves-title", Static).update(Content(" · ".join(told) if view.places else "No figures by step here yet."))
        self._tell()

    def _point(self) -> None:
        self.query_one(PlotView).point_to(self.view.at)
        self._tell()

    def _tell(self) -> None:
        view = self.view
        parts: list[str | tuple[str, str]] = [(view.place(), "bold")]
        width = max(10, self.size.width - 14)
        for number, (letter, job, value, best) in enumerate(view.reading()):
            ink = "rgb({},{},{})".format(*INKS[number])
            told = f"  ◆ {best}" if best else ""
            parts += ["\n", (f"{letter} ", f"bold {ink}"), (f"{value or '—':>10}", "bold"), f"  {one_line(job, max(10, min(60, width - len(told))))}"]
            parts.append((told, "$text-muted"))
        self.query_one("#curves-reading", Static).update(Content.assemble(*parts))

    async def action_step(self, by: int) -> None:
        if self.view.move(by):
            await self._read()
        self._point()

    async def action_metric(self, by: int) -> None:
        self.view.next_metric(by)
        await self._read()

    async def action_smooth(self) -> None:
        self.view.next_smoothing()
        await self._read()

    async def action_log(self) -> None:
        self.view.log = not self.view.log
        await self._read()

    async def action_time(self) -> None:
        self.view.turn()
        await self._read()

    async def action_zoom(self, factor: float) -> None:
        self.view.zoom(factor)
        await self._read()

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        await self._wheel(event, 0.5)

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        await self._wheel(event, 2)

    async def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        if self.query_one(PlotView).region.contains(event.screen_x, event.screen_y):
            event.stop()
            await self.action_zoom(factor)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        shown = self.query_one(PlotView)
        place = shown.region
        part = shown.plot.part(event.screen_x - place.x) if place.contains(event.screen_x, event.screen_y) else None
        if part is not None:
            self.view.point(part)
            self._point()
