"""Chat: the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.widget import Widget

    from tui.state.chat import ChatState, Message
    from tui.widgets.entries import AnswerEntry

QUESTIONS = (
    "How do I fine-tune a model on my own CSV?",
    "What happens when I close the terminal during a training?",
    "How does Bittern find the rows it cites?",
)


class Examples(OptionList):
    """Questions to begin with; Enter or a click asks one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Ask this")]

    def __init__(self) -> None:
        super().__init__(*(Option(Content.assemble(("› ", "$accent"), text)) for text in QUESTIONS), id="examples", markup=False, compact=True)
        self.highlighted = None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(ChatPanel.Asked(QUESTIONS[event.option_index]))


class ChatPanel(VerticalScroll):
    """Draws the conversation; follows its end until the person scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("G", "bottom", "To the end", show=False)]

    @dataclass
    class Asked(TextualMessage):
        """An example was chosen."""

        text: str

    def __init__(self) -> None:
        super().__init__(id="chat")
        self.border_title = "Chat"
        self._entries: dict[int, Widget] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="welcome", markup=False)

    def on_mount(self) -> None:
        self.anchor()
        self.welcome("Opening the workspace…", ready=False)

    def welcome(self, text: str, *, ready: bool) -> None:
        """The text above an empty conversation; the examples come when they can be answered."""
        self.query_one("#welcome", Static).update(
            Content.assemble(("Bittern", "bold $accent"), ("  data in, model out, and you see everything that happens\n\n", "$text-muted"), text)
        )
        there = self.query(Examples)
        if ready and not there:
            self.mount(Examples(), after="#welcome")
        elif not ready and there:
            there.remove()

    async def draw(self, changed: Iterable[Message]) -> None:
        """Draw new entries and follow those that are being streamed."""
        for message in changed:
            entry = self._entries.get(message.number)
            if entry is None:
                entry = self._entries[message.number] = _entry(message)
                await self.mount(entry)
            elif message.kind == "note":
                await entry.recompose()
            if message.kind == "answer":
                answer: AnswerEntry = entry  # type: ignore[assignment]
                await answer.follow()

    async def reset(self, chat: ChatState) -> None:
        """Draw the whole conversation anew."""
        with self.app.batch_update():
            for entry in self._entries.values():
                await entry.remove()
            self._entries.clear()
            await self.draw(chat.messages)
        self.to_end()

    def to_end(self) -> None:
        """Follow the end again."""
        self.anchor()

    def action_bottom(self) -> None:
        self.anchor()


def _entry(message: Message) -> Widget:
    # Markdown and its parser are imported with the first entry, not with the first picture.
    from tui.widgets.entries import AnswerEntry, ErrorEntry, NoteEntry, UserEntry

    if message.kind == "user":
        return UserEntry(message)
    if message.kind == "answer":
        return AnswerEntry(message)
    return ErrorEntry(message) if message.kind == "error" else NoteEntry(message)
