"""An editor for SQL: coloured words, and the completions of the one at the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from tui.state.sql import Vocabulary, pieces

if TYPE_CHECKING:
    from rich.text import Text

    from tui.widgets.chatbox import Completions

STYLES = {"keyword": "bold cyan", "function": "cyan", "string": "green", "number": "magenta", "comment": "dim italic"}


class SqlEditor(TextArea):
    """Enter breaks the line; Tab takes a completion, or goes on to the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", "Complete", show=False)]

    class Left(Message):
        """Tab, with no completions open."""

    def __init__(self, completions: Completions) -> None:
        super().__init__(id="sql-editor", soft_wrap=True, show_line_numbers=False, compact=True, tab_behavior="focus", highlight_cursor_line=False)
        self.placeholder = "SELECT label, count(*) AS n FROM tickets GROUP BY label ORDER BY n DESC"
        self.vocabulary = Vocabulary()
        self._completions = completions

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        for start, end, kind in pieces(line.plain):
            line.stylize(STYLES[kind], start, end)
        return line

    @property
    def before(self) -> str:
        """The text up to the cursor."""
        return self.get_text_range((0, 0), self.cursor_location)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._completions.show(self.vocabulary.complete(self.before) if self.has_focus else [])

    def action_complete(self) -> None:
        word = self._completions.word
        if not word:
            self.post_message(self.Left())
            return
        before = self.before
        length = len(before) - len(before.rstrip("".join({c for c in before if c.isalnum() or c == "_"})))
        row, column = self.cursor_location
        self.replace(word, (row, column - length), (row, column))
        self._completions.hide()

    def action_cursor_up(self, select: bool = False) -> None:
        if self._completions.display:
            self._completions.move(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if self._completions.display:
            self._completions.move(1)
        else:
            super().action_cursor_down(select)

    def put(self, text: str) -> None:
        """Replace the text, the cursor after it."""
        self.text = text
        self.move_cursor(self.document.end)
        self._completions.hide()
