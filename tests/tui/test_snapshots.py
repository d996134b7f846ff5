"""Pinned pictures, at the smallest terminal and at a wide one. Look at the report before you accept a new one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from engine import events
from tests.tui.screens import StillApp

if TYPE_CHECKING:
    from textual.pilot import Pilot

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
ANSWER = "Press **p** in Jobs, or type `/pause 3` [1]. `/resume 3` goes on from the last checkpoint [2]."
PASSAGES = [
    {
        "n": 1,
        "address": "guide/train/10",
        "text": "Keys in the Jobs panel: p pauses a job, r resumes it.",
        "quote": "p pauses a job, r resumes it.",
        "score": 0.8,
    },
    {"n": 2, "address": "guide/train/37", "text": "resume 3 goes on from there.", "quote": "resume 3 goes on from there.", "score": 0.7},
]


async def still(pilot: Pilot[Any]) -> StillApp:
    """The app, once its panels are there."""
    app = pilot.app
    assert isinstance(app, StillApp)
    await app.settle(pilot)
    return app


def training(job: str, steps: int) -> list[events.Event]:
    """The events of a training that has come half way."""
    happened: list[events.Event] = [
        events.JobQueued(job=job, title="train smollm2 on tickets", verb="train"),
        events.JobStarted(job=job, seq=1),
        events.JobLog(job=job, seq=2, text="900 rows, 225 steps"),
    ]
    for step in range(1, steps + 1):
        happened.append(events.JobMetric(job=job, seq=2 + step, step=step, name="loss", value=0.4 + 2.4 * math.exp(-step / 30)))
    happened.append(events.JobMetric(job=job, seq=steps + 3, step=steps // 2, name="eval_loss", value=1.3))
    happened.append(events.JobMetric(job=job, seq=steps + 4, step=steps, name="eval_loss", value=0.6))
    happened.append(events.JobCheckpoint(job=job, seq=steps + 5, step=steps, path="c"))
    happened.append(events.JobProgress(job=job, seq=steps + 6, done=steps, total=225, unit="steps", rate=1.5, eta=70))
    return happened


@SIZES
def test_first_paint(snap_compare: Any, size: tuple[int, int]) -> None:
    async def wait(pilot: Pilot[Any]) -> None:
        await still(pilot)

    assert snap_compare(StillApp(), terminal_size=size, run_before=wait)


@SIZES
def test_a_job_with_a_curve(snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[Any]) -> None:
        app = await still(pilot)
        app.stock()
        await app.feed(pilot, training("3", 120))
        await pilot.press("f4", "enter")
        await app.settle(pilot)

    assert snap_compare(StillApp(), terminal_size=size, run_before=run)


@SIZES
def test_the_train_form(snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[Any]) -> None:
        app = await still(pilot)
        app.stock()
        await app.open_train_form("smollm2", "tickets")
        await app.settle(pilot)

    assert snap_compare(StillApp(), terminal_size=size, run_before=run)


@SIZES
def test_an_error(snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[Any]) -> None:
        app = await still(pilot)
        app.stock()
        error = {
            "title": "I can't read that line", "message": "There is no command called “trian”.", "hint": "Did you mean train?",
            "line": "/trian smollm2", "start": 1, "end": 6,
        }  # fmt: skip
        await app.draw_chat([app.chat.add("user", "/trian smollm2")])
        await app.feed(pilot, [events.CallFinished(job="call-1", verb="train", error=error)])

    assert snap_compare(StillApp(), terminal_size=size, run_before=run)


@SIZES
def test_an_answer_with_citations(snap_compare: Any, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[Any]) -> None:
        app = await still(pilot)
        app.stock()
        asked = [app.chat.add("user", "How do I pause a job?"), app.chat.begin("call-1", "ask")]
        await app.draw_chat(asked)
        await app.feed(pilot, [events.PassagesFound(job="call-1", passages=PASSAGES), events.TokenDelta(job="call-1", text="Press **p**")])
        data = {"answer": ANSWER, "found": True, "passages": PASSAGES, "model": "smollm2", "usage": {"rate": 61.0, "first_token": 1.2}}
        await app.feed(pilot, [events.CallFinished(job="call-1", verb="ask", result={"summary": ANSWER, "data": data})])

    assert snap_compare(StillApp(), terminal_size=size, run_before=run)
