"""The screen that searches the Hub, and the box for a token, with a real engine and a real local server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, Static

from tests.engine.test_hub_find import FILES, LISTED
from tests.fakes.hub import TOKEN, Hub
from tests.fakes.online import go_online
from tests.tui.test_flows import screen, until
from tui.panels.models import ModelsPanel
from tui.screens.find import FindScreen
from tui.screens.sign_in import SignInScreen
from tui.state.find import FindState, about, mark, short
from tui.widgets.chatbox import ChatBox
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from pathlib import Path

    from tui.app import BitternApp


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    served = Hub(FILES, listed=LISTED)
    go_online(monkeypatch, tmp_path, served)
    return served


def opened(app: BitternApp, kind: type[Any]) -> Any:
    return app.screen if isinstance(app.screen, kind) and app.screen.is_mounted else None


def text_of(shown: Any, name: str) -> str:
    return str(shown.query_one(name, Static).content) if shown.query(name) else ""


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_a_model_is_found_looked_at_and_brought(home: Path, hub: Hub, size: tuple[int, int]) -> None:
    async with screen(home, size) as (app, pilot):
        await pilot.press("f3", "f")
        assert isinstance(app.main.query_one("#models"), ModelsPanel)
        shown: FindScreen = await until(lambda: opened(app, FindScreen))
        found = shown.query_one(NamedList)
        await until(lambda: found.option_count == 2 and found.chosen)
        shown.query_one(Input).value = "heron-gguf"
        await until(lambda: found.option_count == 1 and found.chosen == "org/heron-gguf")
        shown.query_one(Input).value = "heron"
        await until(lambda: found.option_count == 2)
        await pilot.press("down")
        await until(lambda: found.has_focus)
        shown.query_one(Input).value = "zebra"
        # Where nothing was found the next word can be typed.
        await until(lambda: not found.chosen and shown.query_one(Input).has_focus)
        shown.query_one(Input).value = "heron"
        await until(lambda: found.option_count == 2 and found.chosen)
        await pilot.press("enter")
        await until(lambda: found.has_focus)
        found.choose("org/heron")
        await until(lambda: "model.safetensors" in text_of(shown, "#find-facts"))
        assert "fits" in text_of(shown, "#find-facts")
        await pilot.press("enter")
        await until(lambda: any(job.title == "pull org/heron" for job in app.jobs.jobs.values()))
        await until(lambda: "heron" in [job.summary.partition(":")[0] for job in app.jobs.jobs.values()] or app.jobs.ordered()[0].state == "failed")
        await pilot.press("f7")
        await until(lambda: any("/api/datasets?" in line for line in hub.asked))
        await pilot.press("escape", "escape")
        await until(lambda: app.screen is app.main)


async def test_a_slow_hub_holds_nothing_and_no_hub_says_what_to_do(home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen(home) as (app, pilot):
        await app.open_address("find:models")
        shown: FindScreen = await until(lambda: opened(app, FindScreen))
        await until(lambda: "2 models" in text_of(shown, "#find-told"))
        monkeypatch.setattr(Hub, "search_waits", 20.0)
        shown.query_one(Input).value = "nothing"
        await until(lambda: any("search=nothing" in line for line in hub.asked))
        monkeypatch.setattr(Hub, "search_waits", 0.0)
        shown.query_one(Input).value = "heron"
        await until(lambda: any("search=heron" in line for line in hub.asked) and "2 models" in text_of(shown, "#find-told"), 15)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        await pilot.press("f8")
        await until(lambda: "does not answer" in text_of(shown, "#find-told"))
        assert "local folder" in text_of(shown, "#find-told")
        shown.query_one(Input).value = "heron --colour red"
        await until(lambda: "no --colour" in text_of(shown, "#find-told"))


async def test_a_token_is_asked_for_unseen(home: Path, hub: Hub, tmp_path: Path) -> None:
    async with screen(home) as (app, pilot):
        box = app.main.query_one(ChatBox)
        box.focus()
        box.put(f"/login {TOKEN}")
        await pilot.press("enter")
        shown: SignInScreen = await until(lambda: opened(app, SignInScreen))
        assert not any(TOKEN in message.text for message in app.chat.messages)
        box.action_cursor_up()
        assert TOKEN not in box.text, "the line does not come back either"
        line = shown.query_one(Input)
        assert line.password
        line.value = "hf_wrong"
        await pilot.press("enter")
        await until(lambda: "does not know this token" in text_of(shown, "#sign-in-told"))
        line.value = TOKEN
        await pilot.press("enter")
        await until(lambda: app.screen is app.main)
        assert (tmp_path / "token").read_text() == TOKEN


def test_what_keys_set_and_what_is_typed() -> None:
    state = FindState()
    assert state.line(" heron ") == "find --kind models --sort downloads heron"
    state.turn("sort")
    state.turn("access")
    assert state.line("x --sort likes --gated") == "find --kind models x --sort likes --gated"
    assert state.title() == "models · open · by likes"
    assert (short(135_000_000), short(999), about({"task": "t", "rows": "1K<n<10K", "downloads": 12_000})) == (
        "135M",
        "999",
        "t · 1K<n<10K · 12k downloads",
    )
    assert (mark({"gated": "auto", "here": True}), mark({"gated": "auto"}), mark({})) == ("here", "gated", "")
