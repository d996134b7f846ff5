"""The chat box, and the list of completions above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from tui.text import cells, clean, one_line, pad

if TYPE_CHECKING:
    from textual import events


class Completions(OptionList, can_focus=False):
    """What the last word may become. Opens above the chat box; never takes the focus."""

    def __init__(self) -> None:
        super().__init__(id="completions", markup=False, compact=True)
        self.words: list[str] = []
        self.moved = False
        self.display = False

    def show(self, found: list[tuple[str, str]]) -> None:
        self.words = [clean(word) for word, _ in found]
        self.moved = False
        self.display = bool(found)
        width = min(60, max((cells(word) for word in self.words), default=0) + 2)
        self.set_options(
            Option(Content.assemble((pad(one_line(word, width - 2), width), "bold"), (one_line(told, 100), "$text-muted")))
            for word, (_, told) in zip(self.words, found, strict=True)
        )
        self.highlighted = 0 if found else None

    def hide(self) -> None:
        self.display = False
        self.moved = False

    def move(self, by: int) -> None:
        self.moved = True
        if by > 0:
            self.action_cursor_down()
        else:
            self.action_cursor_up()

    @property
    def word(self) -> str:
        return self.words[self.highlighted] if self.display and self.highlighted is not None else ""


class ChatBox(TextArea):
    """One to five lines. Enter sends, ctrl+j breaks the line, up and down bring back what was said."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", priority=False),
        Binding("tab", "complete", "Complete", show=False),
        Binding("ctrl+j,shift+enter", "newline", "New line", show=False),
        Binding("escape", "leave", "Panels"),
    ]

    @dataclass
    class Sent(Message):
        text: str

    @dataclass
    class Cited(Message):
        """A digit was typed into the empty box: open that citation, or take it as text."""

        digit: str

    class Erased(Message):
        """Backspace in the empty box."""

    class Left(Message):
        """Esc, with no completions open."""

    class CompletionWanted(Message):
        """Tab, with no completions open."""

    def __init__(self, completions: Completions) -> None:
        super().__init__(id="chatbox", soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)
        self.placeholder = "Ask a question, or type / for commands"
        self.cites = False
        self._completions = completions
        self._history: list[str] = []
        self._at = 0

    def remember(self, lines: list[str]) -> None:
        """What was said in earlier sittings, oldest first."""
        self._history = [*lines, *self._history]
        self._at = len(self._history)

    def forget(self, text: str) -> None:
        """Do not bring this line back."""
        self._history = [line for line in self._history if line != text]
        self._at = len(self._history)

    def put(self, text: str) -> None:
        """Replace the text, the cursor after it."""
        self.text = text
        self.move_cursor(self.document.end)

    def say(self, text: str) -> None:
        """Send a text as if it had been typed."""
        self.post_message(self.Sent(text))

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()
        elif event.key == "backspace" and not self.text:
            self.post_message(self.Erased())
        elif self.cites and not self.text and event.key in "123456789":
            event.stop()
            event.prevent_default()
            self.post_message(self.Cited(event.key))

    def action_send(self) -> None:
        if self._completions.display and self._completions.moved:
            self.accept()
            return
        self._completions.hide()
        text = self.text.strip()
        if text in ("", "/"):
            return
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._at = len(self._history)
        self.text = ""
        self.post_message(self.Sent(text))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_complete(self) -> None:
        if self._completions.display:
            self.accept()
        elif self.text.startswith("/"):
            self.post_message(self.CompletionWanted())

    def accept(self) -> None:
        """Put the chosen completion in the place of the last word."""
        word = self._completions.word
        self._completions.hide()
        if not word:
            return
        kept = self.text[: len(self.text) - len(self.text.split(" ")[-1].split("\n")[-1])]
        if not kept and self.text.startswith("/"):
            word = f"/{word.removeprefix('/')}"
        self.put(f"{kept}{word}{'' if word.endswith('/') else ' '}")

    def action_leave(self) -> None:
        if self._completions.display:
            self._completions.hide()
        else:
            self.post_message(self.Left())

    def action_cursor_up(self, select: bool = False) -> None:
        if self._completions.display:
            self._completions.move(-1)
        elif self.cursor_location[0] == 0 and not select:
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if self._completions.display:
            self._completions.move(1)
        elif self.cursor_location[0] == self.document.line_count - 1 and not select:
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def _recall(self, by: int) -> None:
        at = self._at + by
        if 0 <= at < len(self._history):
            self._at = at
            self.put(self._history[at])
        elif at == len(self._history):
            self._at = at
            self.text = ""
