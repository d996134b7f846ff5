"""tune from the screen: begun by a line, cancelled and resumed by keys; another one to its end, told in the chat and used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.inference.fastest import fastest
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes.tiny import chat_model
from tests.tui.test_flows import says, screen, until
from tui.screens.ask import AskScreen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
async def test_tune_is_cancelled_resumed_and_used(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    monkeypatch.setenv("BITTERN_CONTEXT", "512")
    write_gguf(chat_model(tmp_path / "tiny"), tmp_path / "tiny.gguf", "F16")
    workspace = Workspace(home)
    workspace.models.put(ModelRecord("tiny", "chat", "made", 1, gguf=str(tmp_path / "tiny.gguf")))
    workspace.close()
    async with screen(home, (80, 24)) as (app, pilot):
        # More rounds than anybody waits for: it is stopped in the middle of them.
        await says(app, pilot, "/tune tiny --quantisations Q8_0 --rounds 50")

        def state() -> Any:
            return app.jobs.jobs["1"].state if "1" in app.jobs.jobs else ""

        async def cancel() -> None:
            await until(lambda: state() == "running")
            await pilot.press("f4")
            await pilot.press("x")
            await until(lambda: isinstance(app.screen, AskScreen))
            await pilot.press("up", "enter")
            await until(lambda: state() == "cancelled" and app.screen is app.main)

        await cancel()
        await pilot.press("r")
        await cancel()
        assert not list(app.engine.workspace.paths.models.glob("tiny.tuned-*.gguf")), "nothing is left behind"
        message = await says(app, pilot, "/tune tiny --quantisations Q8_0 --rounds 1")
        await until(lambda: "tiny" in message.text and app.jobs.jobs["2"].state == "done")
        record = app.engine.workspace.models.get("tiny")
        assert fastest(app.engine.workspace, record) is not None
        await until(lambda: message.result.get("data", {}).get("ways"))
        assert any("chat" in way["fastest_for"] for way in message.result["data"]["ways"])
        said = await says(app, pilot, "/chat --model tiny --max-tokens 2 hello")
        assert not said.error
