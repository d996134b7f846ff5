"""A text of several lines, to be written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from tui.text import clean, one_line

if TYPE_CHECKING:
    from textual.app import ComposeResult


class EditScreen(ModalScreen[str]):
    """Dismissed with the new text, or with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave it", priority=True),
        Binding("ctrl+s", "save", "Save", priority=True),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="edit") as dialog:
            dialog.border_title = Content(one_line(self._title, 60))
            dialog.border_subtitle = "ctrl+s saves, Esc leaves it"
            yield TextArea(clean(self._text), id="edited", soft_wrap=True, show_line_numbers=False, compact=True)
            if clean(self._text) != self._text:
                yield Static("It holds control characters, which a terminal can't show: saving leaves them out.", markup=False)

    def on_mount(self) -> None:
        area = self.query_one("#edited", TextArea).focus()
        area.move_cursor(area.document.end)

    def action_save(self) -> None:
        self.dismiss(self.query_one("#edited", TextArea).text)
