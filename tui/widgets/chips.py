"""What goes along with what is said next, above the chat box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events


class Chip(Static):
    """One attachment; a click takes it off."""

    @dataclass
    class Removed(Message):
        number: int

    def __init__(self, number: int, name: str) -> None:
        super().__init__(classes="chip", markup=False)
        self._number, self._name = number, name
        self.tell(0)

    def tell(self, tokens: int) -> None:
        """Draw the name, and the tokens where they are known."""
        length = f" {tokens:,} tok" if tokens else ""
        self.update(Content.assemble(("+ ", "$accent"), one_line(self._name, 40), (f"{length}  ✕", "$text-muted")))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Removed(self._number))


class Chips(Horizontal):
    """The attachments in a row; not there where there are none. Backspace in the empty box takes off the last."""

    def __init__(self) -> None:
        super().__init__(id="chips")
        self.names: list[str] = []
        self.tokens = 0
        """Of all that is attached, where that is known."""
        self.display = False

    async def show(self, names: Sequence[str]) -> None:
        if list(names) == self.names:
            return
        self.names, self.tokens = list(names), 0
        self.display = bool(names)
        with self.app.batch_update():
            await self.remove_children()
            await self.mount(*(Chip(number, name) for number, name in enumerate(names, start=1)))

    def tell(self, tokens: Sequence[int]) -> None:
        """How long each attachment is for the model in use."""
        self.tokens = sum(tokens)
        for chip, count in zip(self.query(Chip), tokens, strict=False):
            chip.tell(count)
