"""A broken file on the screen: its error offers a way out, and one key takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.test_flows import screen, until
from tui.widgets.chatbox import ChatBox
from tui.widgets.entries import ErrorEntry, Repairs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.mark.parametrize(("size", "key"), [((160, 45), "enter"), ((80, 24), "1")])
async def test_one_key_takes_the_way_out(home: Path, tmp_path: Path, size: tuple[int, int], key: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("x,[/y]\n1,2\n3,4,[b]5\n6,7\n", encoding="utf-8")
    async with screen(home, size) as (app, pilot):
        box = app.main.query_one(ChatBox)
        box.focus()
        box.put(f"/add {file}")
        await pilot.press("enter")
        entry = await until(lambda: next(iter(app.main.query(ErrorEntry)), None))
        repairs = await until(lambda: next(iter(entry.query(Repairs)), None))
        assert "leave out the bad row and list it" in str(repairs.get_option_at_index(0).prompt)
        assert not app.engine.datasets(), "nothing is done before a key is pressed"
        if key == "enter":
            repairs.focus()
            await pilot.pause()
        await pilot.press(key)
        await until(lambda: app.jobs.jobs.get("2") and app.jobs.jobs["2"].state == "done")
        found = app.engine.datasets()
        assert app.chat.typed()[-1] == f"/add {file} --name bad --bad skip" and not app.chat.offered
        assert found[0].rows == 2 and "1 bad row was left out" in found[0].note
        await pilot.pause()
