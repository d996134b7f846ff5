"""The figures of several jobs by step on one chart, with a cursor that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static
from textual_plotext import PlotextPlot

from engine.errors import BitternError
from tui.state.curves import INKS, CurvesView
from tui.text import clean, one_line

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from tui.bridge import Bridge

LABEL = 9
"""Cells of a value beside the chart; with the frame, the chart begins one further right."""


class CurvesScreen(Screen[None]):
    """``name`` is ``JOB,JOB;METRIC;SMOOTHING;LOG``."""

    CSS = """
    #curves-title { height: auto; max-height: 2; background: $panel; padding: 0 1; }
    #curves-plot { height: 1fr; }
    #curves-reading { height: auto; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Back a step", show=False), Binding("right", "step(1)", "On a step", show=False),
        Binding("shift+left,pageup", "step(-20)", show=False), Binding("shift+right,pagedown", "step(20)", show=False),
        Binding("home", "step(-1000000)", show=False), Binding("end", "step(1000000)", show=False),
        Binding("m", "metric", "Figure"), Binding("s", "smooth", "Smoothing"), Binding("l", "log", "Log"),
        Binding("escape", "dismiss", "Back"),
    ]  # fmt: skip

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self.view = CurvesView.of(name)

    def compose(self) -> ComposeResult:
        yield Static(id="curves-title", markup=False)
        yield PlotextPlot(id="curves-plot")
        yield Static(id="curves-reading", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    async def on_mount(self) -> None:
        await self._read()
        self.set_interval(2, self._follow)

    async def _follow(self) -> None:
        if any(job["state"] == "running" for job in self.view.data.get("jobs", [])):
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
        self.view.data, self.view.metric = result.data, result.data["metric"]
        self.draw()

    def draw(self) -> None:
        """The lines, the cursor and what it reads."""
        view = self.view
        plot = self.query_one("#curves-plot", PlotextPlot)
        plt: Any = plot.plt
        plt.clear_figure()
        plt.grid(False, False)
        lines = [(number, letter, points) for number, (letter, points) in enumerate(view.lines()) if points]
        for number, letter, points in lines:
            steps, values = [step for step, _ in points], [value for _, value in points]
            plt.plot(steps, values, color=INKS[number], marker="braille" if len(points) > 1 else letter)
            # Some letters on each line tell them apart where there are no colours.
            some = sorted({(len(points) - 1) * (2 * part + 1 + number % 2) // 10 for part in range(5)})
            plt.scatter([steps[at] for at in some], [values[at] for at in some], color=INKS[number], marker=letter)
        if lines:
            self._scales(plt, [value for _, _, points in lines for _, value in points])
        if view.step is not None:
            plt.vline(view.step, (150, 150, 150))
        plot.refresh()
        scale = "log" if view.log else "linear"
        self.query_one("#curves-title", Static).update(
            Content(f"{view.metric.replace('_', ' ')} · smoothing {view.smooth:g} · {scale}" if lines else "No figures by step here yet.")
        )
        self._tell()

    def _scales(self, plt: Any, values: list[float]) -> None:
        """Marks whose width is known, so that the mouse's place is a step."""
        steps = self.view.steps()
        low, high = min(values), max(values)
        marks = [low + (high - low) * part / 4 for part in range(5)] if high > low else [low]
        plt.yticks(marks, [f"{10**mark if self.view.log else mark:.3g}".rjust(LABEL) for mark in marks])
        plt.xticks(sorted({steps[0] + (steps[-1] - steps[0]) * part // 4 for part in range(5)}))

    def _tell(self) -> None:
        view = self.view
        parts: list[str | tuple[str, str]] = [(f"step {view.step:,}" if view.step is not None else "last", "bold")]
        for number, (letter, job, value) in enumerate(view.reading()):
            ink = "rgb({},{},{})".format(*INKS[number])
            parts += ["\n", (f"{letter} ", f"bold {ink}"), (f"{value or '—':>10}", "bold"), f"  {one_line(job, 60)}"]
        self.query_one("#curves-reading", Static).update(Content.assemble(*parts))

    def action_step(self, by: int) -> None:
        self.view.move(by)
        self.draw()

    async def action_metric(self) -> None:
        self.view.next_metric()
        await self._read()

    async def action_smooth(self) -> None:
        self.view.next_smoothing()
        await self._read()

    async def action_log(self) -> None:
        self.view.log = not self.view.log
        await self._read()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        place = self.query_one("#curves-plot").region
        inside = event.screen_x - place.x - LABEL - 1
        width = place.width - LABEL - 2
        if place.contains(event.screen_x, event.screen_y) and 0 <= inside < width:
            self.view.point(inside / max(1, width - 1))
            self.draw()
