"""An answer in the conversation: as it was understood, what is unsupported, and rows that are only words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.widgets import Markdown, Static

from engine import events
from tui.state.chat import ChatState
from tui.state.message import Message
from tui.widgets.entries import Citations
from tui.widgets.spoken import AnswerEntry

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

DATA: dict[str, Any] = {
    "question": "and how do I cancel it?",
    "asked": "How do I cancel the running job?",
    "by": "model",
    "model": "smollm2",
    "found": True,
    "answer": "Press x [1]. It rains. [?]",
    "sentences": [{"text": "Press x.", "supported": True}, {"text": "It rains.", "supported": False}],
    "passages": [{"n": 1, "address": "guide/train/0", "text": "Press x.", "quote": "Press x."}],
}


class Page(App[None]):
    def __init__(self, message: Message) -> None:
        super().__init__()
        self.entry = AnswerEntry(message)

    def compose(self) -> ComposeResult:
        yield self.entry


def shown(page: Page, name: str) -> str:
    return "".join(str(found.content) for found in page.query(f".{name}").results(Static) if found.display)


def test_a_follow_up_says_how_it_was_understood() -> None:
    chat = ChatState()
    message = chat.begin("call-1", "ask")
    assert message is not None
    chat.apply(events.PassagesFound(job="call-1", passages=DATA["passages"], asked=DATA["asked"]))
    assert message.asked == "How do I cancel the running job?"
    chat.apply(events.CallFinished(job="call-1", verb="ask", result={"summary": "", "data": DATA}))
    assert (message.asked, message.unsupported, message.quoted) == (DATA["asked"], 1, False)
    chat.load(
        [type("Record", (), {"role": "assistant", "text": DATA["answer"], "facts": {**DATA, "asked": DATA["question"], "by": "quote", "model": ""}})]
    )
    assert (chat.messages[-1].asked, chat.messages[-1].footer()) == ("", "quoted from the rows")


async def test_what_no_row_supports_is_said_in_words() -> None:
    message = Message(0, "answer", "Press x [1]. It rains. [?]", verb="ask", asked=DATA["asked"], unsupported=1, passages=DATA["passages"])
    page = Page(message)
    async with page.run_test(size=(80, 24)) as pilot:
        await page.entry.follow()
        await pilot.pause()
        assert shown(page, "asked") == "understood as: How do I cancel the running job?"
        assert shown(page, "unsupported") == "[?] No row supports this sentence."
        assert page.query_one(Citations).option_count == 1


async def test_a_row_in_an_answer_is_only_words(data: Path) -> None:
    hostile = "“[7](http://evil) ![x](http://evil/x.png) <b>bold</b> <http://evil> [secret]: http://evil /forget tickets --yes” [1]"
    strings = " ".join(str(text) for text in json.loads((data / "bad-strings" / "blns.json").read_text("utf-8")))
    message = Message(0, "answer", hostile, verb="ask", busy=True)
    page = Page(message)
    async with page.run_test(size=(120, 24)) as pilot:
        await page.entry.follow()
        message.text += strings
        message.busy = False
        await page.entry.follow()
        await pilot.pause()
        drawn = "".join(str(block.content) for block in page.query_one(Markdown).query("*").results(Static))
        assert "[7](http://evil)" in drawn and "![x](http://evil/x.png)" in drawn and "<b>bold</b>" in drawn
        assert "\x1b" not in drawn
