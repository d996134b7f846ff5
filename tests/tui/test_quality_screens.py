"""The screens of a check and of a map, as a person uses them; and the dots themselves."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.tui.test_flows import says, screen, until
from tui.app import BitternApp
from tui.messages import OpenView
from tui.panels.rows import DatasetDetail
from tui.screens.ask import AskScreen
from tui.screens.map import MapScreen
from tui.screens.quality import Groups, QualityScreen
from tui.widgets.chatbox import ChatBox
from tui.widgets.differences import told_apart
from tui.widgets.dots import Window, draw, inside, nearest
from tui.widgets.plane import Plane

if TYPE_CHECKING:
    from pathlib import Path

NARROW = (80, 24)


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.fixture
def mess(tmp_path: Path) -> Path:
    """Rows with a duplicate, an address, and markup that must stay text."""
    rows = [(f"The {word} stood still in the {place}, [red]listening[/b] \x1b[31m to nothing", kind)
            for word, kind in (("heron", "a"), ("bittern", "b"), ("egret", "a")) for place in ("reeds", "water", "mud", "evening")]  # fmt: skip
    rows += [rows[0], ("Write to anna.smith@mailbox.org about the boats", "b")]
    file = tmp_path / "mess.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows])
    return file


async def added(app: BitternApp, pilot: Any, file: Path) -> None:
    await says(app, pilot, f"/add {file} --test 0 --text text --label label")
    await until(lambda: app.catalog.find_dataset("mess"))


def opened(app: BitternApp, kind: type[Any]) -> Any:
    return app.screen if isinstance(app.screen, kind) and app.screen.is_mounted else None


@pytest.mark.parametrize("size", [(160, 45), NARROW])
async def test_a_check_opens_by_itself_and_offers_the_filter(home: Path, mess: Path, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/check mess")
        shown: QualityScreen = await until(lambda: opened(app, QualityScreen))
        await until(lambda: shown.finding)
        keys = [finding.key for finding in shown._report.findings] if shown._report else []
        assert {"duplicates.exact", "personal.email"} <= set(keys)
        groups = shown.query_one(Groups)
        for _ in range(keys.index("duplicates.exact")):
            await pilot.press("down")
        await pilot.press("enter", "down")
        group, member = await until(lambda: groups.at)
        assert (group.members[member].address, group.members[member].goes) == ("mess/train/12", True)
        await pilot.press("f")
        box = app.main.query_one(ChatBox)
        await until(lambda: app.screen is app.main and box.text)
        assert box.text == "/filter mess \"NOT (_split = 'train' AND _row = 12)\""


async def test_a_row_of_a_group_is_opened_in_full(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/check mess --only duplicates")
        shown: QualityScreen = await until(lambda: opened(app, QualityScreen))
        await until(lambda: shown.finding)
        await pilot.press("enter", "enter")
        await until(lambda: app.screen is app.main and app.main.query_one(DatasetDetail).in_row)
        # What was found already is there at once, and no second job is made.
        jobs = len(app.jobs.jobs)
        await says(app, pilot, "/check mess --only duplicates")
        await until(lambda: opened(app, QualityScreen))
        assert len(app.jobs.jobs) == jobs
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


async def test_the_rows_of_a_finding_are_opened_as_a_table(home: Path, mess: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/check mess --only personal")
        shown: QualityScreen = await until(lambda: opened(app, QualityScreen))
        await until(lambda: shown.finding)
        asked: list[OpenView] = []
        monkeypatch.setattr(BitternApp, "on_open_view", lambda self, event: asked.append(event), raising=False)
        await pilot.press("o")
        await until(lambda: asked)
        assert (asked[0].dataset, asked[0].split, asked[0].where) == ("mess", "train", "_row = 13")


async def test_rows_that_have_changed_are_not_filtered_by_an_old_check(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/check mess --only duplicates")
        await until(lambda: opened(app, QualityScreen))
        await pilot.press("escape")
        mess.write_text("text,label\n" + "".join(f"quite another row {n},a\n" for n in range(14)))
        before = app.engine.workspace.datasets.get("mess").fingerprint
        await says(app, pilot, f"/add {mess} --test 0 --text text --label label")
        await until(lambda: app.engine.workspace.datasets.get("mess").fingerprint != before)
        await says(app, pilot, "/findings mess")
        shown: QualityScreen = await until(lambda: opened(app, QualityScreen))
        await until(lambda: shown.finding)
        await pilot.press("f", "o")
        assert opened(app, QualityScreen) and not app.main.query_one(ChatBox).text


async def test_a_dataset_that_was_not_checked_says_how(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        message = await says(app, pilot, "/findings mess")
        assert message.kind == "error" and message.error["hint"] == "Do it now: check mess"


@pytest.mark.parametrize("size", [(160, 45), NARROW])
async def test_a_part_of_the_map_becomes_a_filter(home: Path, mess: Path, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/atlas mess")
        shown: MapScreen = await until(lambda: opened(app, MapScreen))
        plane = shown.query_one(Plane)
        await until(lambda: plane._grid)
        assert any(character != " " for row in plane._grid.characters.tolist() for character in row)  # type: ignore[union-attr]
        await pilot.press("enter")
        assert opened(app, MapScreen), "without a box there is nothing to choose"
        plane.cursor = (0, 0)
        await pilot.press("space")
        for _ in range(plane.size.width // 8 + 1):
            await pilot.press("shift+right")
        for _ in range(plane.size.height // 4 + 1):
            await pilot.press("shift+down")
        assert len(plane.points()) == 14
        await pilot.press("enter")
        await until(lambda: opened(app, AskScreen))
        await pilot.press("down", "enter")
        box = app.main.query_one(ChatBox)
        await until(lambda: app.screen is app.main and box.text)
        assert box.text == "/filter mess \"_split = 'train' AND _row BETWEEN 0 AND 13\" --as mess-part"


async def test_the_map_is_coloured_signed_zoomed_and_left(home: Path, mess: Path) -> None:
    async with screen(home) as (app, pilot):
        await added(app, pilot, mess)
        await says(app, pilot, "/atlas mess")
        shown: MapScreen = await until(lambda: opened(app, MapScreen))
        plane = shown.query_one(Plane)
        await until(lambda: plane._grid)
        await pilot.press("c", "s")
        drawn = {character for row in plane._grid.characters.tolist() for character in row}  # type: ignore[union-attr]
        assert drawn == {" ", "a", "b"}, "each point with the sign of its label"
        await pilot.press("plus", "plus")
        assert plane.window.zoom > 2
        await pilot.press("0")
        assert plane.window.zoom == 1
        await pilot.press("tab", "enter")
        assert shown._only >= 0
        await pilot.press("space", "escape")
        assert opened(app, MapScreen) and plane.box is None
        await pilot.press("escape")
        assert opened(app, MapScreen) and shown._only == -1
        await pilot.press("escape")
        await until(lambda: app.screen is app.main)


# -- the dots ------------------------------------------------------------------------------------------------------


def test_each_point_is_a_dot_in_its_cell() -> None:
    x, y = np.asarray([0.0, 0.49, 1.0, 1.0]), np.asarray([1.0, 1.0, 0.0, 0.01])
    grid = draw(Window(), x, y, np.asarray([0, 0, 1, 1]), 2, 1, signs=False)
    assert "".join(grid.characters[0]) == "⠉⢀"
    assert grid.categories.tolist() == [[0, 1]]
    assert "".join(draw(Window(), x, y, np.asarray([0, 2, 1, 1]), 2, 1, signs=True).characters[0]) == "ab"


def test_one_category_alone_is_seen_wherever_it_is() -> None:
    x = np.asarray([0.1, 0.1, 0.1, 0.9])
    grid = draw(Window(), x, x, np.asarray([0, 0, 1, 0]), 2, 2, signs=False, only=1)
    assert sorted(grid.categories.ravel().tolist()) == [-1, -1, -1, 1]


def test_a_box_holds_its_cells_and_the_nearest_point_is_found() -> None:
    x = np.linspace(0.05, 0.95, 10)
    assert inside(Window(), x, x, 10, 10, (3, 9, 0, 6)).tolist() == [0, 1, 2, 3]
    assert nearest(Window(), x, x, 10, 10, 4, 5) == 4
    assert len(inside(Window(), x, x, 1, 1, (0, 0, 0, 0))) == 10


def test_zooming_keeps_the_point_in_its_place_and_never_leaves_the_map() -> None:
    window = Window().zoomed(4, 0.25, 0.5)
    assert (window.left <= 0.25 <= window.left + 0.25) and window.zoom == 4
    assert (0.25 - window.left) * 4 == pytest.approx(0.25)
    assert Window().zoomed(4, 0.0, 0.0).moved(-9, -9) == Window(0.125, 0.125, 4.0)
    assert Window().zoomed(4, 0.3, 0.3).zoomed(0.1, 0.9, 0.9) == Window()


def test_what_differs_is_marked() -> None:
    left, right = told_apart("the red heron stands", "the grey heron \x1b[31mstands")
    assert [str(left[span.start : span.end]) for span in left.spans] == ["red"]
    assert [str(right[span.start : span.end]) for span in right.spans] == ["grey"]
    assert "\x1b" not in str(right)
