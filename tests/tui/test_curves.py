"""Several jobs on one chart: smoothing, thinning, the Command, and the screen with its cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Static

from engine import events
from engine.errors import JobError, WordsError
from engine.jobs.journal import Journal
from engine.jobs.series import smooth, thinned
from tests.tui.screens import StillApp
from tests.tui.test_flows import says, screen, until
from tui.screens.curves import CurvesScreen
from tui.state.curves import CurvesView
from tui.state.plot import plain
from tui.widgets.plot import PlotView

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_smoothing_does_not_lean_to_zero_and_thinning_keeps_peaks() -> None:
    flat = [(step, 2.0) for step in range(50)]
    assert all(abs(value - 2.0) < 1e-9 for _, value in smooth(flat, 0.9)), "TensorBoard's smoothing leaves a constant as it is"
    assert [round(value, 4) for _, value in smooth([(0, 1.0), (1, 3.0)], 0.5)] == [1.0, 2.3333]
    points = [(step, 1.0) for step in range(10_000)]
    points[7_123] = (7_123, 99.0)
    found = thinned(points, 600)
    assert len(found) <= 600 and (7_123, 99.0) in found and found[0] == points[0] and found[-1] == points[-1]
    assert found == sorted(found)


def test_a_cursor_reads_each_line_and_stays_within() -> None:
    view = CurvesView.of("1,2;loss;0.6;1")
    assert (view.jobs, view.smooth, view.log) == (["1", "2"], 0.6, True)
    jobs = [
        {"job": "1", "title": "a", "state": "done", "series": [(0, 10.0), (10, 1.0)], "lowest": (10, 1.0)},
        {"job": "2", "title": "b", "state": "done", "series": [(0, 100.0)], "lowest": (0, 100.0)},
    ]
    view.take({"metric": "loss", "metrics": ["eval_loss", "loss"], "jobs": jobs})
    assert view.reading() == [("A", "1 a", "1", "lowest 1 at 10"), ("B", "2 b", "100", "lowest 100 at 0")]
    view.move(1)
    assert view.at == 10 and view.reading()[1][2] == "", "a line that has ended has no value"
    view.move(-99)
    assert view.at == 0 and [value for _, _, value, _ in view.reading()] == ["10", "100"]
    view.point(0.9)
    assert view.at == 10
    view.next_metric()
    assert view.metric == "eval_loss"


def _jobs(engine: Any) -> list[str]:
    """Two jobs that are over, with figures of 3,000 steps."""
    found = []
    for slower in (1, 2):
        record = engine.workspace.jobs.add("train", {}, f"train number {slower}", "nobody's")
        journal = Journal(engine.workspace.paths.job(record.id), record.id)
        for step in range(1, 3_001):
            journal.write(events.JobMetric(job=record.id, step=step, name="loss", value=5.0 * slower / step**0.5))
        journal.write(events.JobMetric(job=record.id, step=3_000, name="eval_loss", value=1.0 * slower))
        journal.close()
        found.append(record.id)
    engine.workspace.database.write("UPDATE jobs SET state = 'done' WHERE slot = ?", "nobody's")
    return found


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_two_jobs_on_one_chart(home: Path, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        one, two = _jobs(app.engine)
        engine = app.engine
        answer = await app.bridge.call(lambda: engine.run(engine.parse(f"curves {one} {two} --smooth 0.6")))
        assert len(answer.table.rows) == 20 and len(answer.data["jobs"][0]["series"]) <= 600 and answer.data["metrics"] == ["eval_loss", "loss"]
        three = await app.bridge.call(lambda: engine.run(engine.parse(f"curves {one} {two} {one} --metric eval_loss")))
        assert [job["job"] for job in three.data["jobs"]] == [one, two]
        with pytest.raises(JobError, match="None of these jobs wrote 'accuracy'"):
            await app.bridge.call(lambda: engine.run(engine.parse(f"curves {one} --metric accuracy")))
        with pytest.raises(WordsError, match="Nothing lies from 5 to 2"):
            await app.bridge.call(lambda: engine.run(engine.parse(f"curves {one} --start 5 --end 2")))
        await says(app, pilot, f"/curves {one} {two}")
        shown: Any = await until(lambda: app.screen if isinstance(app.screen, CurvesScreen) and app.screen.view.data else None)

        def drawn() -> str:
            return "\n".join(strip.text for strip in shown._compositor.render_strips())

        await pilot.pause(0.2)
        assert "A" in drawn() and "B" in drawn() and "train number 2" in drawn() and "0.09129" in drawn(), "letters, titles and last values"
        await pilot.press("home")
        await pilot.pause(0.1)
        assert shown.view.at == 1 and "step 1" in drawn() and "10" in drawn() and "lowest 0.09129 at 3,000" in drawn()
        await pilot.hover("#curves-plot", offset=(size[0] // 2, 5))
        await pilot.pause(0.1)
        assert 1_000 < shown.view.at < 2_000, "the mouse reads too"
        await pilot.press("plus")
        await until(lambda: (shown.view.data["end"] or 9_999) - (shown.view.data["start"] or 0) < 1_600)
        assert "to" in drawn() and len(shown.view.data["jobs"][0]["series"]) > 500, "closer, in all its points"
        await pilot.press("t")
        await until(lambda: shown.view.data["by"] == "time" and shown.view.data["start"] is None)
        await pilot.press("s", "l")
        await until(lambda: shown.view.data["smooth"] == 0.6 and shown.view.data["log"])
        await pilot.press("m")
        await until(lambda: shown.view.data["metric"] == "eval_loss")
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_a_jobs_own_chart_grows_with_its_points(size: tuple[int, int]) -> None:
    app = StillApp()
    async with app.run_test(size=size) as pilot:
        await app.settle(pilot)
        await app.feed(pilot, [events.JobQueued(job="7", title="train", verb="train"), events.JobStarted(job="7", seq=1)])
        await pilot.press("f4", "enter")
        await app.settle(pilot)
        chart = app.parts.job.query_one(PlotView)
        assert not chart.display, "no chart before there is a point"
        losses: list[events.Event] = [events.JobMetric(job="7", seq=1 + step, step=step, name="loss", value=9.0 - step) for step in range(1, 9)]
        await app.feed(pilot, [*losses, events.JobMetric(job="7", seq=10, step=8, name="eval_loss", value=0.25)])
        first = chart.plot
        assert chart.display and (first.low, first.high) == (1, 8) and "A" in plain(first) and "B" in plain(first) and "0.25┤" in plain(first)
        head = str(app.parts.job.query_one("#job-head", Static).content)
        assert "A loss 1" in head and "B eval loss 0.25" in head, "the figures are its legend"
        await app.feed(pilot, [events.JobLog(job="7", seq=11, text="a word")])
        assert chart.plot is first, "drawn again only when a point came"
        await app.feed(pilot, [events.JobMetric(job="7", seq=12, step=20, name="loss", value=float("nan"))])
        assert chart.plot is first and "nan" not in plain(chart.plot)
        await app.feed(pilot, [events.JobMetric(job="7", seq=13, step=20, name="loss", value=0.5)])
        assert chart.plot.high == 20


async def test_c_in_a_jobs_detail_opens_its_chart(home: Path) -> None:
    async with screen(home, (80, 24)) as (app, pilot):
        one, _ = _jobs(app.engine)
        await app.read_catalog()
        await app.show_detail("job", one)
        await until(lambda: app.parts.job.job_id == one)
        await pilot.press("c")
        shown: Any = await until(lambda: app.screen if isinstance(app.screen, CurvesScreen) and app.screen.view.data else None)
        assert shown.view.jobs == [one]


async def test_what_waits_stands_in_the_order_it_will_run_in_and_is_moved_by_keys(home: Path) -> None:
    async with screen(home, (80, 24)) as (app, pilot):
        first, second = (app.engine.workspace.jobs.add("train", {}, name, "nobody's").id for name in ("first", "second"))
        await app.read_catalog()
        assert [job.id for job in app.jobs.waiting()] == [first, second]
        await pilot.press("f4")
        app.parts.jobs.choose(second)
        await pilot.press("u")
        await until(lambda: [job.id for job in app.jobs.waiting()] == [second, first])
        assert app.parts.jobs.chosen == second, "the cursor stays on the job"
        await pilot.press("d")
        await until(lambda: [job.id for job in app.jobs.waiting()] == [first, second])
