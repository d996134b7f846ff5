"""The main job as a person walks it on the screen, with the real models: ask, open the cited row, add, search,
fine-tune and chat meanwhile, measure before and after, talk to the result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tui.app import BitternApp
from tui.panels.rows import DatasetDetail
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tui.state.message import Message

ROWS = [
    ("Where is my card, it has not come yet", "card arrival"),
    ("My new card is still on its way", "card arrival"),
    ("The cash machine kept my money", "cash machine"),
    ("The machine gave me the wrong notes", "cash machine"),
    ("I was charged twice for one payment", "double charge"),
    ("The same purchase shows up two times", "double charge"),
]


class Person:
    """Types into the chat box and waits for what comes of it."""

    def __init__(self, app: BitternApp, pilot: Any) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, what: Callable[[], Any], seconds: float, told: str) -> Any:
        for _ in range(int(seconds / 0.1)):
            if found := what():
                return found
            await asyncio.sleep(0.1)
        last = self.app.chat.messages[-1]
        raise AssertionError(f"{told}: not within {seconds} s; the last message is {last.kind} {last.text!r} {last.error}")

    async def says(self, text: str, seconds: float = 180) -> Message:
        """Send a line and wait for its answer."""
        before = len(self.app.chat.messages)
        box = self.app.main.query_one(ChatBox)
        box.focus()
        box.put(text)
        await self.pilot.press("enter")
        message = await self.until(lambda: next((m for m in self.app.chat.messages[before:] if m.kind != "user" and not m.busy), None), seconds, text)
        assert message.kind != "error", message.error
        return message

    async def job(self, text: str, seconds: float = 360) -> str:
        """Send a line that starts a job, and wait until the job is done; returns its summary."""
        told = await self.says(text)
        job = told.result["data"]["job"]
        engine = self.app.engine
        await self.until(lambda: engine.job(job).state in ("done", "failed", "cancelled"), seconds, text)
        record = engine.job(job)
        assert record.state == "done", record.error
        return record.summary


@pytest.mark.slow
async def test_the_main_job_on_the_screen(with_converted: Path, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("text,label\n" + "".join(f'"{text} ({n})",{label}\n' for n in range(6) for text, label in ROWS), encoding="utf-8")
    app = BitternApp(with_converted, warm=True)
    async with app.run_test(size=(160, 45)) as pilot:
        person = Person(app, pilot)
        await person.until(lambda: app.bridge.engine is not None, 20, "the engine opens")
        engine = app.engine
        await person.says("/setup")
        await person.until(lambda: engine.workspace.indexes.find("guide"), 240, "the guide is indexed")

        answer = await person.says("How do I pause a running job?")
        assert answer.found and "[1]" in answer.text and answer.passages
        app.main.query_one(ChatBox).focus()
        await pilot.press("1")
        await person.until(lambda: app.main.query_one(DatasetDetail).display, 10, "the cited row opens")
        nothing = await person.says("Who won the world cup in 1998?")
        assert not nothing.found

        assert "36 rows" in await person.job(f"/add {file}")
        assert "classification" in str(engine.workspace.datasets.get("tickets").shape)
        await person.job("/index tickets")
        hits = await person.says("/search my plastic has not arrived --on tickets --count 3")
        assert "card arrival" in [engine.window("tickets", *address_of(hit["address"]), 1)[0]["label"] for hit in hits.result["data"]["hits"]]

        assert "36 rows" not in await person.job("/evaluate smollm2 --on tickets --rows 3 --max-tokens 4")
        started = await person.says("/train smollm2 --on tickets --max-steps 6 --batch-size 2 --max-length 64 --eval-rows 2 --learning-rate 0.002")
        job = started.result["data"]["job"]
        await person.until(lambda: engine.job(job).state == "running", 20, "the training runs")
        meanwhile = await person.says("/chat --temperature 0 --max-tokens 8 Say hello.")
        assert meanwhile.text.strip()
        await person.until(lambda: engine.job(job).state not in ("queued", "running"), 180, "the training ends")
        assert engine.job(job).state == "done", engine.job(job).error
        await person.until(lambda: len(app.jobs.jobs[job].curves["loss"].points) == 6, 10, "the curve has every step")

        await person.job("/evaluate smollm2-tickets --on tickets --rows 3 --max-tokens 4")
        compared = await person.says("/compare smollm2 smollm2-tickets")
        assert {row[0] for row in compared.result["table"]["rows"]} >= {"perplexity"}
        await person.until(lambda: app.screen is not app.main, 10, "the comparison opens")
        await pilot.press("escape")
        await person.says("/use smollm2-tickets")
        tuned = await person.says("/chat --temperature 0 --max-tokens 8 Where is my card?")
        assert tuned.text.strip() and tuned.model == "smollm2-tickets"
        wrong = len(app.chat.messages)
        app.main.query_one(ChatBox).put("/trian smollm2")
        await pilot.press("enter")
        error = await person.until(lambda: next((m for m in app.chat.messages[wrong:] if m.kind == "error"), None), 10, "a wrong word")
        assert "train" in error.error["hint"]
    engine.close(5)


def address_of(address: str) -> tuple[str, int]:
    _, split, row = address.split("/")
    return split, int(row)
