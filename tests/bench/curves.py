"""What a chart of two lines of 3,000 steps costs the screen's loop: a new picture, a step of its cursor, and a point more in a job's
detail; beside textual-plotext (extra ``bench``), which drew charts before. CPU time of the thread, the picture turned into lines of the
screen."""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual_plotext import PlotextPlot

from engine.jobs.series import thinned
from tui.state.curves import CurvesView
from tui.state.jobs import Curve, chart
from tui.state.plot import INKS, LETTERS
from tui.widgets.plot import PlotView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.widget import Widget

SIZE, TIMES = (160, 45), 15


class Page(App[None]):
    def __init__(self, shown: Widget) -> None:
        super().__init__()
        self._shown = shown

    def compose(self) -> Any:
        yield self._shown


def _figures(slower: int, steps: Iterable[int]) -> list[tuple[int, float]]:
    return [(step, slower * 5.0 / step**0.5 + (step * 7919 % 100) / 500) for step in steps]


def _lines() -> list[list[tuple[float, float]]]:
    return [thinned(_figures(slower, range(1, 3_001)), 600) for slower in (1, 2)]


async def _cost(page: Page, change: Callable[[int], object]) -> float:
    """Milliseconds of CPU to draw the widget after ``change``."""
    found = []
    for number in range(TIMES):
        began = time.thread_time()
        change(number)
        page._shown.render_lines(page._shown.outer_size.region)
        found.append(time.thread_time() - began)
        await asyncio.sleep(0.02)
    return 1000 * statistics.median(found)


async def ours() -> tuple[float, float]:
    view = CurvesView.of("1,2")
    jobs = [{"job": str(number), "title": "", "state": "done", "series": line, "lowest": line[-1]} for number, line in enumerate(_lines())]
    view.take({"metric": "loss", "metrics": ["loss"], "jobs": jobs})
    shown = PlotView(id="plot")
    page = Page(shown)
    async with page.run_test(size=SIZE):
        drawn = await _cost(page, lambda _: shown.show(view.draw, INKS))
        return drawn, await _cost(page, lambda number: shown.point_to(100.0 * number))


async def growing() -> float:
    """A job's detail while it runs: of both lines every point is kept, and one more came."""
    curves = {name: Curve(_figures(slower, range(1, 3_001))) for slower, name in enumerate(("loss", "eval_loss"), start=1)}
    shown = PlotView(id="plot")

    def change(number: int) -> None:
        curves["loss"].put(*_figures(1, [3_001 + number])[0])
        shown.show(partial(chart, curves), INKS)

    page = Page(shown)
    async with page.run_test(size=SIZE):
        return await _cost(page, change)


async def plotext() -> float:
    shown, lines = PlotextPlot(), _lines()

    def change(_: int) -> None:
        plt = shown.plt
        plt.clear_figure()
        for number, line in enumerate(lines):
            steps, values = [step for step, _ in line], [value for _, value in line]
            plt.plot(steps, values, color=INKS[number], marker="braille")
            plt.scatter(steps[::120], values[::120], color=INKS[number], marker=LETTERS[number])
        shown.refresh()

    page = Page(shown)
    async with page.run_test(size=SIZE):
        return await _cost(page, change)


def main() -> None:
    theirs = asyncio.run(plotext())
    drawn, moved = asyncio.run(ours())
    grown = asyncio.run(growing())
    print(f"plotext  {theirs:.1f} ms of CPU a picture of {SIZE[0]}x{SIZE[1]} cells, its cursor the same (median of {TIMES})")
    print(f"bittern  {drawn:.1f} ms a picture, {moved:.1f} ms a step of the cursor, {grown:.1f} ms a point more in a job's detail")
    print(f"ratio    {drawn / theirs:.2f}, {moved / theirs:.2f}, {grown / theirs:.2f}")


if __name__ == "__main__":
    main()
