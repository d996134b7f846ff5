"""One line to fill in above a table: a filter, a row's number, a new value. What is wrong with it stands below it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tui.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from engine.errors import BitternError

SQL_WORDS = ("AND", "OR", "NOT", "IS", "NULL", "LIKE", "ILIKE", "IN", "BETWEEN", "length", "contains", "lower", "regexp_matches")
_WORD = re.compile(r'(?:"[^"]*|[\w]+)$')


class Words(Suggester):
    """Completes the last word of a line to a column, or to a word of SQL."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = [*map(quoted, columns), *SQL_WORDS] if columns else []

    async def get_suggestion(self, value: str) -> str | None:
        found = _WORD.search(value)
        if found is None or value.count("'") % 2:
            return None
        start = found.group().lower()
        for word in self._words:
            if word.lower().lstrip('"').startswith(start.lstrip('"')) and len(word) > len(start):
                # What was typed stays as it was typed wherever it can, so that the rest can stand behind it.
                return value + word[len(start) :] if word.lower().startswith(start) else value[: found.start()] + word
        return None


def quoted(column: str) -> str:
    """A column as SQL takes it."""
    return column if re.fullmatch(r"[A-Za-z_]\w*", column) else '"' + column.replace('"', '""') + '"'


class Line(Input):
    """Tab takes the completion; with none there it stays where it is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Apply"), Binding("tab", "take", "Complete")]

    def action_take(self) -> None:
        if self._suggestion:
            self.value = self._suggestion
            self.action_end()


class Prompt(Vertical):
    """Hidden until :meth:`ask`. Enter answers, and the prompt stays until :meth:`close`, so that an error can be mended."""

    @dataclass
    class Answered(Message):
        """``kind`` is what was asked for."""

        kind: str
        text: str

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.kind = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(id="prompt-label", markup=False)
            yield Line(id="prompt-line", compact=True)
        yield Static(id="prompt-told", markup=False)

    def on_mount(self) -> None:
        self.display = False

    def ask(self, kind: str, label: str, value: str = "", *, columns: Sequence[str] = (), hint: str = "") -> None:
        """Open it. ``columns`` are offered as completions."""
        self.kind = kind
        self.query_one("#prompt-label", Static).update(Content.styled(one_line(label, 40), "bold $accent"))
        line = self.query_one(Line)
        line.suggester = Words(columns) if columns else None
        line.value = " ".join(re.split(r"[\n\t]", clean(value)))
        line.action_end()
        self.tell(hint)
        self.display = True
        # At once, not when the app comes to it: keys may be waiting already.
        self.screen.set_focus(line)

    def tell(self, text: str) -> None:
        """A word under the line."""
        told = self.query_one("#prompt-told", Static)
        told.update(Content.styled(clean(text), "$text-muted"))
        told.display = bool(text)

    def wrong(self, error: BitternError) -> None:
        """What is wrong with the line, and where."""
        parts: list[Content | tuple[str, str] | str] = []
        if error.line:
            parts += ["  ", clean(error.line), "\n  ", (" " * error.start + "^" * max(1, error.end - error.start), "bold $error"), "\n"]
        parts += [(clean(error.message), "$error"), (f" {clean(error.hint)}" if error.hint else "", "$text-muted")]
        told = self.query_one("#prompt-told", Static)
        told.update(Content.assemble(*parts))
        told.display = True

    def close(self) -> None:
        self.kind = ""
        self.display = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.kind:
            self.post_message(self.Answered(self.kind, event.value.strip()))
