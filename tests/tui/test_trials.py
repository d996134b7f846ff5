"""The trials of a sweep: placed on their axes, gone through by keys, drawn as they always were."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import JobError
from engine.paths import write_json
from engine.training.trials import Trial
from tests.tui.screens import StillApp
from tests.tui.test_flows import says, screen, until
from tui.screens.trials import TrialsScreen
from tui.state.plot import plain
from tui.state.trials import BEST, WORST, Axis, TrialsView, colour
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

TRIALS: list[dict[str, Any]] = [
    {"trial": 1, "settings": {"learning_rate": 1e-4, "rank": 4, "scheduler": "linear"}, "state": "done", "eval_loss": 2.0, "steps": 6},
    {"trial": 2, "settings": {"learning_rate": 1e-2, "rank": 16, "scheduler": "cosine"}, "state": "done", "eval_loss": 1.0, "steps": 6},
    {"trial": 3, "settings": {"learning_rate": 1e-3, "rank": 8, "scheduler": "linear"}, "state": "failed", "eval_loss": None, "steps": 0},
    {"trial": 4, "settings": {"learning_rate": 3e-3, "rank": 8, "scheduler": "cosine"}, "state": "halved", "eval_loss": 0.9, "steps": 2},
]


def test_trials_are_ranked_and_placed_on_their_axes() -> None:
    view = TrialsView("1", chosen=4, data={"trials": TRIALS})
    assert [trial["trial"] for trial in view.ranked()] == [2, 1, 4, 3]
    rate, rank, scheduler, loss = view.axes()
    assert [round(rate.place(value), 2) for value in (1e-4, 1e-3, 1e-2)] == [0, 0.5, 1], "by its logarithm"
    assert [rank.place(value) for value in (4, 10, 16)] == [0, 0.5, 1] and scheduler.place("linear") == 1 and loss.name == "held-out loss"
    assert Axis.of("x", [3]).place(3) == 0.5
    assert colour(0, 9) == BEST and colour(8, 9) == WORST and colour(0, 1) == BEST
    lines = ["".join(text for text, _ in row) for row in view.draw(100, 16).rows]
    assert len(lines) == 16 and {len(line) for line in lines} == {100}
    assert "learning rate" in lines[0] and "held-out loss" in lines[0] and "cosine" in lines[-1]
    assert "".join(lines).count("●") == 4 and "".join(lines).count("◆") >= 3, "the one under the cursor, and the best"
    assert "no room" in view.draw(20, 16).rows[0][0][0]
    view.across = False
    assert "◆" in plain(view.draw(60, 12))


def _many() -> list[Trial]:
    found = []
    for number in range(9):
        settings = {"learning_rate": 1e-5 * 3**number, "rank": (4, 8, 16)[number % 3], "scheduler": ("linear", "cosine")[number % 2]}
        state: Any = "failed" if number == 7 else "halved" if number in (2, 5) else "done"
        loss = None if state == "failed" else 0.4 + abs(number - 4.6) / 5
        found.append(Trial(number, settings, state, loss, 2 if state == "halved" else 6, 1.0, why="The loss ran away." if state == "failed" else ""))
    return found


async def test_the_trials_of_a_sweep_by_keys(home: Path) -> None:
    async with screen(home, (80, 24)) as (app, pilot):
        record = app.engine.workspace.jobs.add("sweep", {"how": "random"}, "sweep tiny on lines", "nobody's")
        other = app.engine.workspace.jobs.add("train", {}, "train tiny on lines", "nobody's")
        engine = app.engine
        with pytest.raises(JobError, match="is no sweep"):
            await app.bridge.call(lambda: engine.run(engine.parse(f"trials {other.id}")))
        told = await app.bridge.call(lambda: engine.run(engine.parse(f"trials {record.id}")))
        assert "No trial" in told.summary and told.table is None
        write_json(app.engine.workspace.paths.job(record.id) / "trials.json", [asdict(trial) for trial in _many()])
        told = await app.bridge.call(lambda: engine.run(engine.parse(f"trials {record.id}")))
        assert told.data["best"] == 5 and told.table.rows[0][0] == "5" and told.table.rows[-1][-1] == "The loss ran away."
        assert told.chart.lines["best so far"][-1] == (9, 0.4 + abs(4 - 4.6) / 5)
        await app.read_catalog()
        await pilot.press("f4")
        app.parts.jobs.choose(record.id)
        await pilot.press("c")
        shown: Any = await until(lambda: app.screen if isinstance(app.screen, TrialsScreen) and app.screen.view.data else None)

        def drawn() -> str:
            return "\n".join(strip.text for strip in shown._compositor.render_strips())

        await until(lambda: shown.view.chosen == 5)
        await pilot.pause(0.1)
        assert "learning rate" in drawn() and "held-out loss" in drawn() and "the best is trial 5" in drawn() and drawn().count("●") == 4
        await pilot.press("down", "down")
        await until(lambda: shown.view.chosen == 4)
        await pilot.press("v")
        await pilot.pause(0.1)
        assert "┤" in drawn() and "●" not in drawn() and "A is each trial" in drawn()
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)
        assert (await says(app, pilot, f"/trials {other.id}")).kind == "error"


def test_how_trials_look(snap_compare: Any) -> None:
    trials = [{"trial": one.number + 1, "settings": one.settings, "state": one.state, "eval_loss": one.loss, "steps": one.step} for one in _many()]

    async def run(pilot: Pilot[Any]) -> None:
        app: Any = pilot.app
        await app.settle(pilot)
        shown = TrialsScreen(app.bridge, "3")
        await app.push_screen(shown)
        shown.view.data = {"title": "sweep smollm2 on tickets", "state": "done", "trials": trials}
        shown._list("9 trials of job 3 (done): the best is trial 5, held-out loss 0.5200.")
        shown.query_one(NamedList).action_cursor_down()
        await pilot.pause(0.2)

    assert snap_compare(StillApp(), terminal_size=(100, 30), run_before=run)
