"""Chat: the conversation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.message import Message as TextualMessage
from textual.reactive import Reactive
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.widgets.slimbar import SlimScrollBar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.scrollbar import ScrollBar
    from textual.widget import Widget

    from tui.state.chat import ChatState
    from tui.state.message import Message
    from tui.widgets.spoken import AnswerEntry, UserEntry

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

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("G", "bottom", "To the end", show=False),
        Binding("k", "entry(-1)", "Message above", show=False),
        Binding("j", "entry(1)", "Message below", show=False),
    ]

    virtual_size = Reactive(Size(0, 0), repaint=False)
    """A line more in an answer needs no second layout, which Textual would make; a new size of the panel does."""

    @dataclass
    class Asked(TextualMessage):
        """An example was chosen."""

        text: str

    def __init__(self) -> None:
        super().__init__(id="chat")
        self.border_title = "Chat"
        self._drawing = asyncio.Lock()
        self._entries: dict[int, Widget] = {}
        self._meter = ""

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = made = SlimScrollBar(name="vertical", thickness=self.scrollbar_size_vertical)
            made.display = False
            self.app._start_widget(self, made)
        return self._vertical_scrollbar

    def compose(self) -> ComposeResult:
        yield Static(id="welcome", markup=False)
        line = Static("╌╌ older turns above are not sent: the model's window is full ╌╌", id="not-sent", markup=False)
        line.display = False
        yield line

    def on_mount(self) -> None:
        self.anchor()
        self.welcome("Opening the workspace…", ready=False)

    def on_resize(self) -> None:
        # Where the end of the conversation is was reckoned with the size before.
        self.refresh(layout=True)

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

    async def draw(self, chat: ChatState, changed: Iterable[Message]) -> None:
        """Draw new entries, follow those that are being streamed, and take away those that are not there any more."""
        # One at a time: an entry that is drawn anew while it comes in keeps what it said before below what it says now.
        async with self._drawing:
            await self._draw(chat, changed)

    async def _draw(self, chat: ChatState, changed: Iterable[Message]) -> None:
        here = {message.number for message in chat.messages}
        at = self._at()
        was = self._spoken[at] if at is not None else None
        for number in [number for number in self._entries if number not in here]:
            await self._entries.pop(number).remove()
        for message in changed:
            if message.number not in here:
                continue
            entry = self._entries.get(message.number)
            if entry is None:
                entry = self._entries[message.number] = _entry(message)
                await self.mount(entry)
            elif message.kind == "note":
                await entry.recompose()
            if message.kind in ("answer", "user"):
                spoken: AnswerEntry | UserEntry = entry  # type: ignore[assignment]
                await spoken.follow()
        self._stay(at, was)
        self._draw_context(chat)

    @property
    def _spoken(self) -> list[Widget]:
        """The messages that the cursor can be on, from above."""
        return [entry for entry in self._entries.values() if entry.can_focus]

    def _at(self) -> int | None:
        """Which of the messages the cursor is on."""
        focused = self.screen.focused
        if focused is None or self not in focused.ancestors:
            return None
        return next((at for at, entry in enumerate(self._spoken) if entry in focused.ancestors_with_self), None)

    def _stay(self, at: int | None, was: Widget | None) -> None:
        """Where the message ``was``, which the cursor was on, is taken away, it goes to the one that came in its place."""
        entries = self._spoken
        if at is not None and was not in entries and entries:
            entries[min(at, len(entries) - 1)].focus(scroll_visible=False)

    def _draw_context(self, chat: ChatState) -> None:
        """How full the model's window is, in the border; and a line under what is not sent any more."""
        if (meter := chat.meter()) != self._meter:
            # A border that is set is drawn again, and all that is in it.
            self._meter, self.border_subtitle = meter, Content(meter)
        oldest, line = chat.oldest_sent(), self.query_one("#not-sent", Static)
        entry = self._entries.get(oldest.number) if oldest else None
        line.display = entry is not None
        if entry is not None and self.children.index(line) != self.children.index(entry) - 1:
            self.move_child(line, before=entry)

    async def reset(self, chat: ChatState) -> None:
        """Draw the whole conversation anew."""
        async with self._drawing:
            with self.app.batch_update():
                at = self._at()
                was = self._spoken[at] if at is not None else None
                for entry in self._entries.values():
                    await entry.remove()
                self._entries.clear()
                await self._draw(chat, chat.messages)
                self._stay(at, was)
        self.to_end()

    def to_end(self) -> None:
        """Follow the end again."""
        self.anchor()

    def action_bottom(self) -> None:
        self.anchor()

    def action_entry(self, by: int) -> None:
        """The cursor to the message above or below the one it is on; the last, where it is on none."""
        entries, at = self._spoken, self._at()
        at = len(entries) if at is None else at
        if 0 <= at + by < len(entries):
            entries[at + by].focus()
        elif by > 0:
            self.focus()


def _entry(message: Message) -> Widget:
    # Markdown and its parser are imported with the first entry, not with the first picture.
    from tui.widgets.entries import ErrorEntry, NoteEntry
    from tui.widgets.spoken import AnswerEntry, UserEntry

    if message.kind == "user":
        return UserEntry(message)
    if message.kind == "answer":
        return AnswerEntry(message)
    return ErrorEntry(message) if message.kind == "error" else NoteEntry(message)
