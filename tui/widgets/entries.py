"""The entries of the conversation: what was said, answered, told, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Markdown, OptionList, Static
from textual.widgets.option_list import Option

from tui.messages import OpenRow
from tui.text import clean, one_line
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from textual.app import ComposeResult
    from textual.widgets.markdown import MarkdownStream

    from tui.state.chat import Message

TABLE_ROWS = 40


class Citations(OptionList):
    """The rows an answer rests on; Enter or a click opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open row")]

    def __init__(self, passages: list[dict[str, Any]], answer: str) -> None:
        super().__init__(classes="citations", markup=False, compact=True)
        self._passages = passages
        self._answer = answer

    def on_mount(self) -> None:
        for number, passage in enumerate(self._passages, start=1):
            self.add_option(Option(self._entry(passage.get("n", number), passage)))

    def _entry(self, number: int, passage: dict[str, Any]) -> Content:
        return Content.assemble(
            (f"[{number}] ", "bold $accent"), (one_line(passage.get("address", ""), 40), "$text-muted"),
            f"  {one_line(passage.get('quote') or passage.get('text', ''), 240)}",
        )  # fmt: skip

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.open(event.option_index)

    def open(self, index: int) -> None:
        """Open the row of the passage at ``index``."""
        if 0 <= index < len(self._passages):
            passage = self._passages[index]
            self.post_message(cited(passage, self._answer))


def cited(passage: dict[str, Any], answer: str) -> OpenRow:
    """What opens the row of a passage, with what the answer took from it marked."""
    quote = str(passage.get("quote") or "")
    return OpenRow(str(passage.get("address", "")), quote or str(passage.get("text", "")), "" if quote else answer)


class UserEntry(Static):
    """What the person typed."""

    def __init__(self, message: Message) -> None:
        super().__init__(Content.assemble(("› ", "bold $accent"), clean(message.text)), classes="entry user", markup=False)


class AnswerEntry(Vertical):
    """An answer, while it is streamed and after."""

    def __init__(self, message: Message) -> None:
        super().__init__(classes="entry answer")
        self._message = message
        self._stream: MarkdownStream | None = None
        self._markdown: Markdown | None = None
        self._written = 0
        self._ended = False

    def compose(self) -> ComposeResult:
        asked = Static(classes="asked", markup=False)
        asked.display = False
        yield asked
        yield Static("…", classes="status", markup=False)

    async def follow(self) -> None:
        """Draw what has come since the last look."""
        message = self._message
        text = clean(message.text)
        asked = self.query_one(".asked", Static)
        if message.asked and not asked.display:
            asked.display = True
            asked.update(Content(f"understood as: {one_line(message.asked, 200)}"))
        if message.busy:
            if not text:
                self._status(f"reading {len(message.passages)} rows…" if message.passages else "thinking…")
                return
            if self._markdown is None:
                self._status("")
                self._markdown = Markdown(open_links=False, parser_factory=words_only)
                await self.mount(self._markdown)
            if self._stream is None:
                self._stream = Markdown.get_stream(self._markdown)
            if len(text) > self._written:
                await self._stream.write(text[self._written :])
                self._written = len(text)
        elif not self._ended:
            self._ended = True
            await self._finish(text)

    async def _finish(self, text: str) -> None:
        message = self._message
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
        self.set_class(not message.found, "-nothing")
        self._status("")
        if text and self._markdown is None:
            self._markdown = Markdown(text, open_links=False, parser_factory=words_only)
            await self.mount(self._markdown)
        elif self._markdown is not None and self._markdown.source != text:
            await self._markdown.update(text)
        if message.unsupported:
            await self.mount(Static("[?] No row supports this sentence.", classes="unsupported", markup=False))
        if message.passages:
            await self.mount(Citations(message.passages, message.text))
        if footer := message.footer():
            await self.mount(Static(Content(clean(footer)), classes="footer", markup=False))

    def _status(self, text: str) -> None:
        status = self.query_one(".status", Static)
        status.display = bool(text)
        status.update(text)


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
