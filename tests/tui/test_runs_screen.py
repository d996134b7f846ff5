"""The screen of runs, as a person uses it: marks, verdict, flips, slices, worst rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import OptionList, Static, TabbedContent

from tests.fakes.runs import labelled, run, three_runs
from tests.tui.test_flows import says, screen, until
from tui.app import BitternApp
from tui.messages import OpenView
from tui.panels.rows import DatasetDetail
from tui.screens.runs import RunsScreen
from tui.state.verdict import VerdictView, aligned
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


def entries(shown: RunsScreen, name: str) -> list[str]:
    found = shown.query_one(f"#list-{name}", OptionList)
    return [str(found.get_option_at_index(at).prompt) for at in range(found.option_count)]


def opened(app: BitternApp) -> RunsScreen | None:
    return app.screen if isinstance(app.screen, RunsScreen) and app.screen.is_mounted else None


def title(shown: RunsScreen) -> str:
    return str(shown.query_one("#runs-title", Static).content)


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_two_runs_are_marked_and_a_flip_is_opened(home: Path, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        three_runs(app.engine)
        await app.read_catalog()
        await says(app, pilot, "/runs")
        shown: RunsScreen = await until(lambda: opened(app))
        await until(lambda: "worst rows of run 3" in title(shown))
        assert any("accuracy" in line for line in entries(shown, "verdict")), "one run alone shows its figures"
        await pilot.press("down", "down", "space", "up", "space")  # a, then b: the newest is on top
        await until(lambda: "a → b on 60 rows" in title(shown))
        assert shown.view.marked == ["1", "2"] and any("better" in line for line in entries(shown, "verdict"))
        await pilot.press("2")
        flips = entries(shown, "flips")
        assert len(flips) == 31 and "became right" in flips[0] and "became wrong" in flips[-1]
        await pilot.press("down", "enter")
        await until(lambda: app.screen is app.main and app.main.query_one(DatasetDetail).in_row)


async def test_a_comparison_opens_with_its_slices_and_a_slice_as_a_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen(home) as (app, pilot):
        three_runs(app.engine)
        await app.read_catalog()
        await says(app, pilot, "/compare a b --by colour")
        shown: RunsScreen = await until(lambda: opened(app))
        await until(lambda: shown.query_one("#runs-tabs", TabbedContent).active == "tab-slices")
        assert "▲ better" in entries(shown, "slices")[1] and "2 slices by colour were tested" in title(shown)
        await pilot.press("b", *"label", "enter")
        await until(lambda: "2 slices by label were tested" in title(shown))
        await pilot.press("b", *"nonsense", "enter")
        await until(lambda: "no column" in title(shown).lower() or "nonsense" in title(shown))
        await pilot.press("b", *"colour", "enter")
        await until(lambda: "2 slices by colour" in title(shown))
        views: list[Any] = []
        monkeypatch.setattr(BitternApp, "on_open_view", lambda self, event: views.append(event), raising=False)
        await pilot.press("3", "down", "enter")
        await until(lambda: views)
        assert isinstance(views[0], OpenView)
        assert (views[0].dataset, views[0].split) == ("tickets", "test")
        assert app.engine.matching("tickets", views[0].where)["test"] == 30


async def test_rows_that_changed_are_not_opened_and_the_box_takes_the_report(home: Path) -> None:
    async with screen(home) as (app, pilot):
        three_runs(app.engine)
        hostile = labelled([False, True])
        hostile[0]["prompt"] = "[red]not markup[/nothing] \x1b[31m"
        run(app.engine, "old", hostile, fingerprint="gone")
        await app.read_catalog()
        await says(app, pilot, "/runs")
        shown: RunsScreen = await until(lambda: opened(app))
        await until(lambda: len(entries(shown, "worst")) == 2)
        await pilot.press("4", "down", "enter")
        assert opened(app) and shown.view.stale
        assert "[red]not markup[/nothing]" in entries(shown, "worst")[0]
        await pilot.press("e")
        await until(lambda: app.screen is app.main)
        assert app.main.query_one(ChatBox).text == "/report run:4 --to run-4.html"


def test_a_name_is_runs_or_a_dataset_and_other_rows_begin_anew() -> None:
    assert (VerdictView.named("3,4+a column").marked, VerdictView.named("3,4+a column").by) == (["3", "4"], "a column")
    assert VerdictView.named("tickets").only == "tickets"
    view = VerdictView(runs=[{"run": n, "dataset": d, "split": "test", "task": "t"} for n, d in (("1", "x"), ("2", "x"), ("3", "y"))])
    for number in ("1", "2", "3"):
        view.toggle(number)
    assert view.marked == ["3"]
    assert aligned({"columns": ["a", "b"], "rows": [["long", "1"]]}) == ["a     b", "long  1"]
