"""Conversations on the screen: again, anew, branches, sessions, thoughts, attachments, and a place that is not yanked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, OptionList, Static, TextArea, Tree

from engine import events
from engine.store.sessions import MessageRecord
from tests.tui.screens import StillApp
from tests.tui.test_flows import says, screen, until
from tui.messages import RunLine
from tui.panels.chat import ChatPanel
from tui.screens.branches import BranchesScreen
from tui.screens.edit import EditScreen
from tui.screens.sampling import SamplingForm
from tui.screens.sessions import SessionsScreen
from tui.state.chat import ChatState
from tui.widgets.chips import Chip
from tui.widgets.entries import Citations
from tui.widgets.spoken import AnswerEntry, Thoughts, UserEntry

if TYPE_CHECKING:
    from pathlib import Path

    from tui.app import BitternApp


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")


def answered(message: int, under: int, text: str, siblings: list[int] | None = None, **more: Any) -> dict[str, Any]:
    data = {"answer": text, "model": "tiny", "message": message, "under": under, "siblings": siblings or [message], "under_siblings": [under], **more}
    return {"summary": "", "data": data}


def test_an_answer_given_again_takes_the_place_of_what_followed() -> None:
    chat = ChatState()
    chat.load([MessageRecord("main", ("user", "assistant")[n % 2], f"m{n}", id=n + 1, siblings=(n + 1,)) for n in range(4)])
    chat.add("user", "/regenerate 2")
    chat.begin("call-1", "regenerate", "2")
    assert [message.text for message in chat.messages] == ["m0", ""]
    chat.apply(events.TokenDelta(job="call-1", text="new"))
    chat.apply(events.CallFinished(job="call-1", verb="regenerate", result=answered(5, 1, "new", [2, 5])))
    last = chat.messages[-1]
    assert (last.place, last.beside(-1), last.beside(1), chat.shown, chat.astray) == ("‹2/2›", 2, 0, [1, 5], False)
    chat.begin("call-2", "continue", "last")
    chat.apply(events.TokenDelta(job="call-2", text=" and more"))
    assert [message.text for message in chat.messages] == ["m0", "new and more"]
    chat.apply(events.CallFinished(job="call-2", verb="continue", error={"error": "ModelError", "message": "No."}))
    assert chat.astray, "what is shown is read again"
    chat.turn([MessageRecord("main", "user", "m0", id=1)], keep_error=True)
    assert [message.kind for message in chat.messages] == ["user", "error"]
    chat.begin("call-3", "revise", "1", "anew")
    assert [message.text for message in chat.messages] == ["anew", ""]


def test_the_answer_that_is_stopped_is_the_one_that_is_written_and_not_one_that_waits() -> None:
    chat = ChatState()
    for number in (1, 2):
        chat.add("user", f"m{number}")
        chat.begin(f"call-{number}", "chat")
    assert chat.busy and chat.busy.ticket == "call-1"
    chat.apply(events.CallFinished(job="call-1", verb="chat", result=answered(2, 1, "one", [2])))
    assert chat.busy and chat.busy.ticket == "call-2"


def test_what_is_said_while_the_workspace_is_opened_stays() -> None:
    """Its question may have come to the workspace already; it is shown once, and an answer that is whole is the workspace's."""
    before = [MessageRecord("main", "user", "m0", id=1), MessageRecord("main", "assistant", "m1", id=2)]
    for history in (before, [*before, MessageRecord("main", "user", "hello", id=3)]):
        chat = ChatState()
        chat.add("user", "hello")
        chat.begin("call-1", "chat")
        chat.turn(history, keep_error=False, keep_said=True)
        assert [message.text for message in chat.messages] == ["m0", "m1", "hello", ""] and chat.busy
        chat.turn(before, keep_error=False)
        assert [message.text for message in chat.messages] == ["m0", "m1"], "another conversation is only itself"


async def test_thoughts_are_folded_while_they_come_and_after() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"
        await app.draw_chat([app.chat.add("user", "why?"), app.chat.begin("call-1", "chat")])
        await app.feed(pilot, [events.TokenDelta(job="call-1", text="<think>It is a [/b] wader, so")])
        thoughts, entry = app.main.query_one(Thoughts), app.main.query_one(AnswerEntry)
        assert str(thoughts.content) == "▸ thinking… 6 words" and not app.main.query(".answer Markdown")
        entry.focus()
        await pilot.press("t")
        assert "It is a [/b] wader, so" in str(thoughts.content)
        await app.feed(pilot, [events.TokenDelta(job="call-1", text=" it stands.</think>Because."), events.TokenDelta(job="call-1", text=" Yes.")])
        await pilot.press("t")
        text = "<think>It is a [/b] wader, so it stands.</think>Because. Yes."
        await app.feed(pilot, [events.CallFinished(job="call-1", verb="chat", result=answered(2, 1, text))])
        assert str(thoughts.content) == "▸ thought 8 words"
        drawn = entry.query_one("Markdown")
        assert drawn.source == "Because. Yes."  # type: ignore[attr-defined]
        await pilot.press("v")
        raw = entry.query_one(".raw", Static)
        assert raw.display and str(raw.content) == text and not drawn.display


async def test_an_answer_stopped_before_its_first_word_is_asked_for_again() -> None:
    """Nothing of it is kept, so it has no number: its question has."""
    app = StillApp()
    said: list[str] = []
    async with app.run_test(size=(80, 24), message_hook=lambda message: said.append(message.line) if isinstance(message, RunLine) else None) as pilot:
        await app.settle(pilot)
        app.chat.mode = "chat"
        await app.draw_chat([app.chat.add("user", "why?", id=7), app.chat.add("answer", "", verb="chat", usage={"finish": "cancel"})])
        await pilot.pause()
        app.main.query_one(AnswerEntry).focus()
        await pilot.press("r", "c")
        await pilot.pause()
    assert [line for line in dict.fromkeys(said) if "7" in line] == ["regenerate 7", "continue 7"]


async def test_scrolling_up_while_an_answer_comes_is_not_yanked() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        await app.draw_chat([app.chat.add("user", "go on"), app.chat.begin("call-1", "chat")])
        panel = app.main.query_one(ChatPanel)
        pieces = [events.TokenDelta(job="call-1", text=f"line {n}\n\n") for n in range(40)]
        await app.feed(pilot, pieces)
        assert panel.scroll_y == panel.max_scroll_y > 10, "the end is followed"
        panel.focus()
        await pilot.press("pageup", "pageup")
        await pilot.pause(0.3)
        at = panel.scroll_y
        assert at < panel.max_scroll_y
        await app.feed(pilot, pieces)
        assert panel.scroll_y == at and panel.max_scroll_y > at + 40, "and left where the person reads"
        await pilot.press("G")
        await app.feed(pilot, pieces)
        assert panel.scroll_y == panel.max_scroll_y


async def test_what_no_longer_fits_is_marked_and_counted() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settle(pilot)
        context = {"used": 3900, "window": 4096, "room": 512, "dropped": 2, "first": 3}
        records = [MessageRecord("main", ("user", "assistant")[n % 2], f"m{n}", id=n + 1) for n in range(4)]
        records[-1].facts.update(context=context)
        app.chat.load(records)
        await app.draw_chat(app.chat.messages)
        await app.settle(pilot)
        panel = app.main.query_one(ChatPanel)
        assert "3,900 of 4,096 tokens · 2 older not sent" in str(panel.border_subtitle)
        line = panel.query_one("#not-sent")
        after = panel.children[panel.children.index(line) + 1]
        assert line.display and isinstance(after, UserEntry) and after.message.text == "m2"


def talk(app: BitternApp) -> list[str]:
    return [message.text for message in app.chat.messages if message.kind in ("user", "answer")]


async def quiet(app: BitternApp) -> None:
    await until(lambda: not app.chat.busy and not app.chat.astray and app.chat.shown and not app._turning.locked())


@pytest.mark.slow
async def test_again_anew_branches_and_sessions(tiny_home: Path) -> None:
    async with screen(tiny_home) as (app, pilot):
        await says(app, pilot, "/use tiny")
        await says(app, pilot, "/sampling --max-tokens 8 --temperature 1.5 --seed 1")
        app.action_mode()
        await says(app, pilot, "hello there")
        await quiet(app)
        first = app.chat.last_answer
        assert first and first.id
        await pilot.press("f5", "shift+tab")
        await until(lambda: isinstance(app.focused, AnswerEntry))
        await pilot.press("r")
        await until(lambda: app.chat.last_answer and app.chat.last_answer.place == "‹2/2›")
        await quiet(app)
        assert app.focused is app.main.query(AnswerEntry).last(), "the cursor stays on the answer"
        await pilot.press("left")
        await until(lambda: app.chat.shown[-1:] == [first.id])
        await quiet(app)

        app.main.query(UserEntry).last().focus()
        await pilot.press("e")
        await until(lambda: isinstance(app.screen, EditScreen))
        area = app.screen.query_one(TextArea)
        await until(lambda: area.cursor_location == area.document.end and area.text)
        area.text = "good --bye\nnow"
        await pilot.press("ctrl+s")
        await until(lambda: any(m.kind == "user" and m.id and m.text == "good --bye\nnow" for m in app.chat.messages))
        await quiet(app)
        assert next(m for m in app.chat.messages if m.kind == "user" and m.id).place == "‹2/2›"

        app.main.query(AnswerEntry).last().focus()
        await pilot.press("b")
        await until(lambda: isinstance(app.screen, BranchesScreen) and app.screen.query_one(Tree).cursor_node)
        tree = app.screen.query_one(Tree)
        assert tree.cursor_node and tree.cursor_node.data == app.chat.shown[-1]
        await pilot.press("home", "enter")
        await until(lambda: "hello there" in talk(app))
        await quiet(app)

        app.parts.box.focus()
        app.parts.box.put("/clear --name second")
        await pilot.press("enter")
        await until(lambda: not talk(app))
        await pilot.press("f8")
        await until(lambda: isinstance(app.screen, SessionsScreen) and app.screen.query_one(OptionList).option_count == 2)
        await pilot.press("slash", *"good")
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter", "n")
        app.screen.query_one(Input).value = 'birds "[/b]" --x'
        await pilot.press("enter", "p")
        await until(lambda: app.engine.workspace.sessions.all()[0].name == 'birds "[/b]" --x' and app.engine.workspace.sessions.all()[0].pinned)
        await pilot.press("delete")
        await until(lambda: not app.screen.query_one(OptionList).get_option_at_index(0).id and app.engine.workspace.sessions.names() == ["second"])
        await pilot.press("u")
        await until(lambda: 'birds "[/b]" --x' in app.engine.workspace.sessions.names())
        await pilot.press("enter")
        await until(lambda: "hello there" in talk(app))


@pytest.mark.slow
async def test_a_row_is_attached_and_taken_off_and_sampling_is_set(tiny_home: Path) -> None:
    async with screen(tiny_home, (80, 24)) as (app, pilot):
        await says(app, pilot, "/use tiny")
        await says(app, pilot, "/show lines --count 2")
        hits = Citations([{"n": 1, "address": "lines/train/1", "text": "x"}], "")
        await app.parts.chat.mount(hits)
        hits.focus()
        hits.highlighted = 0
        await pilot.press("a")
        await until(lambda: len(app.main.query(Chip)) == 1)
        await says(app, pilot, "/attach lines/train/2")
        await until(lambda: app.parts.chips.names == ["lines/train/1", "lines/train/2"])
        app.parts.box.focus()
        await pilot.press("backspace")
        await until(lambda: app.parts.chips.names == ["lines/train/1"])

        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, SamplingForm))
        app.screen.query_one("#field-max_tokens", Input).value = "4"
        app.screen.query_one("#field-system", Input).value = "Be brief."
        await pilot.press("ctrl+s")
        await until(lambda: app.engine.workspace.sessions.settings("main").get("system") == "Be brief.")
        app.action_mode()
        await says(app, pilot, "and this?")
        await until(lambda: not app.parts.chips.names and not app.parts.chips.display)
        await quiet(app)
        assert app.chat.last_answer and app.chat.last_answer.usage["completion_tokens"] <= 4
        asked = next(m for m in app.chat.messages if m.kind == "user" and m.text == "and this?")
        assert asked.attached == ["lines/train/1"]
        assert "tokens" in str(app.parts.chat.border_subtitle)
