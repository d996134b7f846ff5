"""Curves of a job while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual_plotext import PlotextPlot

if TYPE_CHECKING:
    from tui.state.jobs import Curve

COLOURS = ("cyan+", "orange+", "green+", "magenta+")


def chosen(curves: dict[str, Curve]) -> list[str]:
    """The curves worth drawing together: losses first, else the first that moves."""
    losses = [name for name, curve in curves.items() if "loss" in name and curve.points]
    return losses or [name for name, curve in curves.items() if len(curve.points) > 1][:1]


class Curves(PlotextPlot):  # type: ignore[misc]  # it comes without types
    """Draws losses by step; redraws only when a point came."""

    def __init__(self) -> None:
        super().__init__(id="curves")
        self._drawn: object = None

    def show(self, curves: dict[str, Curve]) -> None:
        names = chosen(curves)
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
                [step for step, _ in points], [value for _, value in points], label=name.replace("_", " "),
                color=COLOURS[number % len(COLOURS)], marker=marker,
            )  # fmt: skip
        self.refresh()
