"""What comes from data and models reaches the terminal harmless."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest
from textual.app import App
from textual.content import Content
from textual.widgets import Static

from tui.state.chat import Message
from tui.text import clean, one_line
from tui.widgets.rows import whole_row

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "ab"),
        ("a\x00\x08\x7fb", "ab"),
        ("abc\u202edef\u2066", "abcdef"),
        ("half \ud800 pair", "half  pair"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("unfinished \x1b]0;no end", "unfinished 0;no end"),
        ("a lone \x90 in the middle", "a lone  in the middle"),
    ],
)
def test_clean(text: str, safe: str) -> None:
    assert clean(text) == safe


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\tc   d", 40) == "a b c d"
    assert one_line("abcdefgh", 4) == "abc…"


async def test_the_naughty_strings_are_drawn_as_text(data: Path) -> None:
    from tui.widgets.entries import Citations, ErrorEntry, NoteEntry, UserEntry

    strings = [str(text) for text in json.loads((data / "bad-strings" / "blns.json").read_text("utf-8"))]
    everything = "\n".join(strings)
    table = {"columns": ["[/b]"], "rows": [[text] for text in strings]}

    class Page(App[None]):
        def compose(self) -> ComposeResult:
            yield UserEntry(Message(0, "user", everything))
            yield NoteEntry(Message(1, "note", everything, result={"table": table}))
            yield ErrorEntry(Message(2, "error", everything, error={"title": strings[3], "message": everything, "hint": everything, "line": "[/x]"}))
            yield Citations([{"n": 1, "address": text, "text": text} for text in strings], everything)
            yield Static(whole_row({text: text for text in strings}), markup=False)

    app = Page()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        drawn = str(app.query_one(UserEntry).content)
    assert "hasOwnProperty" in drawn
    assert not [c for c in drawn if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    for text in strings:
        assert Content(clean(text)).plain == clean(text)
