"""The entries of the conversation beside what was said: rows to open, what a Command told, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Markdown, OptionList, Static
from textual.widgets.option_list import Option

from tui.messages import MeasureTexts, OpenRow, RunVerb
from tui.text import clean, marked_line, one_line
from tui.widgets.chatbox import ChatBox
from tui.widgets.entities import in_colour

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from textual.app import ComposeResult

    from tui.state.message import Message

TABLE_ROWS = 40


class Citations(OptionList):
    """The rows an answer rests on; Enter or a click opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open row"), Binding("a", "attach", "Attach row")]

    def __init__(self, passages: list[dict[str, Any]], answer: str) -> None:
        super().__init__(classes="citations", markup=False, compact=True)
        self._passages = passages
        self._answer = answer

    def on_mount(self) -> None:
        for number, passage in enumerate(self._passages, start=1):
            self.add_option(Option(self._entry(passage.get("n", number), passage)))
        self.post_message(MeasureTexts([str(passage.get("text", "")) for passage in self._passages], self._tell_lengths))

    def _tell_lengths(self, tokens: list[int]) -> None:
        for at, (passage, count) in enumerate(zip(self._passages, tokens, strict=True)):
            if count and at < self.option_count:
                self.replace_option_prompt_at_index(at, self._entry(passage.get("n", at + 1), passage, f" · {count:,} tok"))

    def _entry(self, number: int, passage: dict[str, Any], length: str = "") -> Content:
        """Where the row stands, and what of it answers: the quote or the best sentence, the words asked for in bold."""
        if quote := str(passage.get("quote") or ""):
            said = marked_line(quote, passage.get("words") or [], 240)
        else:
            text = str(passage.get("text", ""))
            start, end = passage.get("best") or (0, len(text))
            said = marked_line(text, passage.get("spans") or [], 240, start, end)
        return Content.assemble(
            (f"[{number}] ", "bold $accent"), (one_line(passage.get("address", ""), 40) + length, "$text-muted"), "  ",
            *((piece, "bold") if marked else piece for piece, marked in said),
        )  # fmt: skip

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.open(event.option_index)

    def action_attach(self) -> None:
        """Let the row under the cursor go along with what is said next."""
        if self.highlighted is not None:
            self.post_message(RunVerb("attach", {"what": str(self._passages[self.highlighted].get("address", ""))}))

    def open(self, index: int) -> None:
        """Open the row of the passage at ``index``."""
        if 0 <= index < len(self._passages):
            passage = self._passages[index]
            self.post_message(cited(passage, self._answer))


def cited(passage: dict[str, Any], answer: str) -> OpenRow:
    """What opens the row of a passage, with what the answer took from it marked."""
    quote = str(passage.get("quote") or "")
    return OpenRow(str(passage.get("address", "")), quote or str(passage.get("text", "")), "" if quote else answer)


def words_only() -> MarkdownIt:
    """A parser for text that may come from rows: emphasis, code, lists and tables, but no link that hides where it
    goes, no picture, no HTML, and no ``[7]`` that is anything but those three signs."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("gfm-like", {"html": False, "linkify": False})
    return parser.disable(["link", "image", "autolink", "linkify", "reference", "html_inline", "html_block"])


class NoteEntry(Vertical):
    """What a Command answered: a line, a table, a text, rows to open."""

    def __init__(self, message: Message) -> None:
        super().__init__(classes="entry note")
        self._message = message

    def compose(self) -> ComposeResult:
        result = self._message.result
        yield Static(Content(clean(self._message.text)), classes="summary", markup=False)
        data = result.get("data") or {}
        hits = next((data[key] for key in ("hits", "passages", "results") if _addressed(data.get(key))), None)
        if hits:
            yield Citations(hits, "")
        elif data.get("entities") and isinstance(data.get("text"), str):
            yield Static(in_colour(data["text"], data["entities"]), classes="table")
        elif result.get("table"):
            yield Static(_table(result["table"]), classes="table")
        if result.get("body"):
            yield Markdown(clean(result["body"]), open_links=False, parser_factory=words_only)


class Repairs(OptionList):
    """The ways out that one key takes: its number in the empty box, Enter or a click runs one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Do it")]

    def __init__(self, repairs: list[dict[str, str]]) -> None:
        super().__init__(classes="repairs", markup=False, compact=True)
        self._repairs = repairs

    def on_mount(self) -> None:
        for number, repair in enumerate(self._repairs, start=1):
            label, line = one_line(repair.get("label", ""), 100), one_line(repair.get("line", ""), 200)
            self.add_option(Option(Content.assemble((f"{number} ", "bold $accent"), label, "  ", (line, "$text-muted"))))
        self.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(ChatBox.Sent(f"/{self._repairs[event.option_index]['line']}"))  # as if the person had typed it


class ErrorEntry(Vertical):
    """What went wrong, where, and the way out."""

    def __init__(self, message: Message) -> None:
        super().__init__(classes="entry error")
        self._message = message
        self.border_title = Content(one_line(message.error.get("title", "Something went wrong"), 60))

    def compose(self) -> ComposeResult:
        error = self._message.error
        parts: list[Content | tuple[str, str] | str] = [clean(error.get("message", self._message.text))]
        if line := clean(error.get("line", "")):
            start, end = int(error.get("start", 0)), int(error.get("end", 0))
            parts += ["\n\n  ", line, "\n  ", (" " * start + "^" * max(1, end - start), "bold $error")]
        if hint := clean(error.get("hint", "")):
            parts += ["\n", (hint, "$text-muted")]
        yield Static(Content.assemble(*parts), markup=False)
        if error.get("repairs"):
            yield Repairs(error["repairs"])


def _addressed(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "address" in value[0]


def _table(data: dict[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False, show_header=any(data["columns"]))
    for column in data["columns"]:
        table.add_column(Text(one_line(column, 40)), overflow="fold")
    for row in data["rows"][:TABLE_ROWS]:
        table.add_row(*(Text(one_line(value, 240)) for value in row))
    if (more := len(data["rows"]) - TABLE_ROWS) > 0:
        table.caption = Text(f"… and {more} more", style="dim")
        table.caption_justify = "left"
    return table
