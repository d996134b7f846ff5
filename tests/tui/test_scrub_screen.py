"""The screen of one prompt across checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.widgets import Static

from engine.results import Result
from tui.screens.scrub import ScrubScreen, track

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERS = [
    {"step": 0, "eval_loss": None, "answer": "I am [bold]a model\x1b[31m"}, {"step": 20, "eval_loss": 1.5, "answer": "/jobs"},
    {"step": 40, "eval_loss": 1.25, "answer": "/jobs"},
]  # fmt: skip


class Answers:
    """Stands for the engine's answer of a job that is done."""

    engine: Any

    def __init__(self) -> None:
        self.engine = self

    def result(self, job: str) -> Result:
        return Result("", {"job": job, "base": "tiny", "prompt": "list my jobs", "answers": ANSWERS})

    async def call(self, what: Callable[[], Any]) -> Any:
        return what()


async def test_the_keys_turn_through_the_steps() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ScrubScreen(Answers(), "3"))  # type: ignore[arg-type]
        await pilot.pause()

        def shown() -> str:
            return " ".join(str(app.screen.query_one(name, Static).render()) for name in ("#scrub-head", "#scrub-answer"))

        assert "step 40" in shown() and "The same words" in shown() and "1.2500" in shown()
        await pilot.press("left")
        assert "step 20" in shown() and "The same words" not in shown()
        await pilot.press("home")
        assert "before the training" in shown() and "[bold]a model" in shown() and "\x1b" not in shown()
        await pilot.press("left", "end", "right")
        assert "(3 of 3)" in shown()
        await pilot.click("#scrub-head", offset=(2, 1))
        assert "(1 of 3)" in shown()


def test_the_track_is_as_wide_as_it_should_be() -> None:
    for at in range(3):
        assert sum(len(text) for text, _ in track(3, at, 40)) == 40
    assert track(1, 0, 10)[0][0] == ""
