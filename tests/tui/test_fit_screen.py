"""Memory on the screen: what a model needs in its facts, what a training needs in its form, what is loaded in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, Static

from tests.tui.test_flows import says, screen, until
from tui.screens.train_form import TrainForm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


@pytest.mark.slow
async def test_memory_is_seen_before_and_after_a_model_is_loaded(tiny_home: Path) -> None:
    async with screen(tiny_home) as (app, pilot):
        await until(lambda: app.catalog.find_model("tiny"))
        await app.show_detail("model", "tiny")

        def shown(name: str) -> str:
            found = app.screen.query(f"#{name}")
            return str(found.first(Static).content) if found else ""

        facts: Any = app.main.query_one("#model-facts", Static)
        await until(lambda: "memory to load" in str(facts.content))
        assert "memory to train" in str(facts.content) and ": fits" in str(facts.content)

        await app.open_train_form("tiny", "lines")
        form = await until(lambda: isinstance(app.screen, TrainForm) and app.screen)
        await until(lambda: "free: fits." in shown("memory"))
        form.query_one("#field-batch_size", Input).value = "100000"
        await until(lambda: "does not fit" in shown("memory"))
        form.query_one("#field-batch_size", Input).value = "none"
        await until(lambda: not shown("memory"))
        await pilot.press("escape")

        def entry() -> str:
            return str(app.parts.models.get_option("tiny").prompt)

        assert "▪" not in entry()
        message = await says(app, pilot, "/chat --model tiny --max-tokens 2 hello")
        assert not message.error
        await until(lambda: "▪" in entry())
        await says(app, pilot, "/unload")
        await until(lambda: "▪" not in entry())
