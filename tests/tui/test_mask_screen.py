"""From the form for ``train`` to the mask of its rows and back, and on to a preflight."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from engine import events
from engine.errors import JobError
from tests.tui.test_flows import until
from tui.app import BitternApp
from tui.screens.mask import MaskScreen, waited_for
from tui.screens.train_form import TrainForm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
async def test_the_mask_of_what_a_form_names(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    monkeypatch.setenv("BITTERN_THREADS", "1")
    app = BitternApp(tiny_home, warm=False, starter=False)
    async with app.run_test(size=(100, 30)) as pilot:
        engine = await until(lambda: app.bridge.engine)
        await until(lambda: app.catalog.datasets and app.catalog.models)
        await app.open_train_form("tiny", "lines")
        form = await until(lambda: app.screen if isinstance(app.screen, TrainForm) else None)
        await until(lambda: form.query("#outlook"))
        await until(lambda: "Recipe sft (lora)" in str(form.query_one("#outlook", Static).content))
        assert form.query_one("#field-learning_rate", Input).placeholder == "0.001" and form.query_one("#field-rows", Input).placeholder == "all 72"
        form.query_one("#field-split", Input).value = "nowhere"
        await until(lambda: "There is no split called “nowhere”" in str(form.query_one("#outlook", Static).content))
        await pilot.press("ctrl+s")
        assert app.screen is form, "what is filled in stays"
        form.query_one("#field-split", Input).value = ""
        await until(lambda: "Recipe sft" in str(form.query_one("#outlook", Static).content))
        await pilot.press("f7")
        screen: MaskScreen = await until(lambda: app.screen if isinstance(app.screen, MaskScreen) else None)
        await until(lambda: screen.found)
        row = str(screen.query_one("#mask-row", Static).content)
        assert "Row 0" in row and "stop token trained" in row and "Say the word heron 1 times (0)<|im_end|>" in row
        assert "carries loss" in str(screen.query_one("#mask-head", Static).content)
        await pilot.press("right")
        assert "Row 1" in str(screen.query_one("#mask-row", Static).content)
        await pilot.press("escape")
        await until(lambda: app.screen is form)
        await pilot.press("f8")
        await until(lambda: app.screen is app.main)
        await until(lambda: [job for job in engine.jobs() if job.verb == "preflight"])
        job = engine.jobs()[0]
        assert job.title == "preflight tiny on lines"
        with suppress(JobError):  # It may be done by then.
            engine.run(engine.parse(f"cancel {job.id}"))
        await until(lambda: engine.job(job.id).state in ("cancelled", "done"))


def test_what_a_mask_waits_for_is_said() -> None:
    note = "converting small.gguf for PyTorch, once"
    assert waited_for([]) == "Reading rows as tokens…"
    assert waited_for([events.JobProgress(done=1, total=3, unit="step", note=note), events.JobLog(text="x")]) == f"{note}: 1 of 3 step"
    assert waited_for([events.JobProgress(done=1, total=None, unit="", note=note)]) == f"{note}…"
