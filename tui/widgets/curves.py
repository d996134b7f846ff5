"""Curves of a job while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual_plotext import PlotextPlot

from tui.state.jobs import INKS, shown

if TYPE_CHECKING:
    from tui.state.jobs import Curve


class Curves(PlotextPlot):  # type: ignore[misc]  # it comes without types
    """Draws losses by step; redraws only when a point came."""

    def __init__(self) -> None:
        super().__init__(id="curves")
        self._drawn: object = None

    def show(self, curves: dict[str, Curve]) -> None:
        names = shown(curves)
        self.display = bool(names)
        state = [(name, len(curves[name].points), curves[name].last) for name in names]
        if state == self._drawn:
            return
        self._drawn = state
        self.plt.clear_figure()
        self.plt.grid(False, False)
        for number, name in enumerate(names):
            points = curves[name].thinned(300)
            marker = "braille" if len(points) > 1 else "dot"
            self.plt.plot(
                [step for step, _ in points], [value for _, value in points], color=INKS[number % len(INKS)], marker=marker,
            )  # fmt: skip
        steps = [point[0] for name in names for point in curves[name].points]
        if steps:
            first, last = min(steps), max(steps)
            self.plt.xticks(sorted({first + (last - first) * part // 4 for part in range(5)}))
        self.refresh()
