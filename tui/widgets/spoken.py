"""What was said and answered: each message can be answered again, put anew, gone on with, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.messages import ReviseMessage, RunLine, RunVerb, ShowBranches
from tui.text import clean, one_line
from tui.widgets.entries import Citations
from tui.widgets.growing import Growing, backdrop, laid_out

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Region
    from textual.strip import Strip

    from tui.state.message import Message


class Spoken(Widget, can_focus=True):
    """What the two kinds of messages can do while the cursor is on them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "revise", "Edit"),
        Binding("r", "regenerate", "Again"),
        Binding("b", "branches", "Branches"),
        Binding("left", "beside(-1)", "Previous branch", show=False),
        Binding("right", "beside(1)", "Next branch", show=False),
        Binding("y", "copy", "Copy"),
    ]
    message: Message

    def action_regenerate(self) -> None:
        if self.message.id and not self.message.busy:
            self.post_message(RunLine(f"regenerate {self.message.id}"))

    def action_branches(self) -> None:
        self.post_message(ShowBranches())

    def action_beside(self, by: int) -> None:
        if sibling := self.message.beside(by):
            self.post_message(RunVerb("branch", {"message": str(sibling)}, told=False))

    def action_copy(self) -> None:
        """The text as it was said, Markdown and all; without thoughts."""
        self.app.copy_to_clipboard(self.message.parts()[1] if self.message.kind == "answer" else self.message.text)
        self.notify("Copied.", markup=False, timeout=2)


class UserEntry(Spoken):
    """What the person typed."""

    def __init__(self, message: Message) -> None:
        super().__init__(classes="entry user")
        self.message = message

    def render(self) -> Content:
        said = self.message
        parts: list[str | tuple[str, str]] = [("› ", "bold $accent"), clean(said.text)]
        if said.place:
            parts.append((f"  {said.place}", "$text-muted"))
        if said.attached:
            parts.append(("\n  with " + one_line(", ".join(said.attached), 200), "not bold $text-muted"))
        return Content.assemble(*parts)

    async def follow(self) -> None:
        """Draw what is known by now."""
        self.refresh(layout=True)

    def action_revise(self) -> None:
        if self.message.id:
            self.post_message(ReviseMessage(self.message.id, self.message.text))


class Thoughts(Static):
    """What the model thought: one line, or all of it; a click folds and unfolds it."""

    def __init__(self) -> None:
        super().__init__(classes="thoughts", markup=False)
        self.folded = True
        self._text = ""

    def show(self, text: str, *, done: bool) -> None:
        """Draw the thoughts so far."""
        self._text, self._done = text, done
        self.display = bool(text)
        count = len(text.split())
        head = f"{'▸' if self.folded else '▾'} {'thought' if done else 'thinking…'} {count:,} word{'' if count == 1 else 's'}"
        self.update(Content.assemble((head, "italic"), "" if self.folded else f"\n{clean(text)}"))

    def toggle(self) -> None:
        self.folded = not self.folded
        self.show(self._text, done=self._done)

    def on_click(self) -> None:
        self.toggle()


class AnswerEntry(Spoken, Vertical):
    """An answer, while it is streamed and after."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "go_on", "Continue"),
        Binding("t", "thoughts", "Thoughts"),
        Binding("v", "raw", "As text"),
    ]
    virtual_size = laid_out()

    def __init__(self, message: Message) -> None:
        super().__init__(classes="entry answer")
        self.message = message
        self._markdown: Growing | None = None
        self._written = ""
        self._ended = False

    def compose(self) -> ComposeResult:
        asked = Static(classes="asked", markup=False)
        asked.display = False
        yield asked
        thoughts = Thoughts()
        thoughts.display = False
        yield thoughts
        yield Static("…", classes="status", markup=False)
        raw = Static(classes="raw", markup=False)
        raw.display = False
        yield raw

    def render_lines(self, crop: Region) -> list[Strip]:
        return backdrop(super().render_lines, crop)

    async def follow(self) -> None:
        """Draw what has come since the last look."""
        message = self.message
        thought, text = (clean(piece) for piece in message.parts())
        asked = self.query_one(".asked", Static)
        if message.asked and not asked.display:
            asked.display = True
            asked.update(Content(f"understood as: {one_line(message.asked, 200)}"))
        if thought:
            self.query_one(Thoughts).show(thought, done=bool(text) or not message.busy)
        if not message.busy:
            if not self._ended:
                self._ended = True
                await self._finish(text)
            return
        if not text:
            self._status(message.waiting)
            return
        await self._write(text)

    async def _write(self, text: str) -> None:
        """The words so far: what is new is added to what stands there."""
        if self._markdown is None:
            self._status("")
            self._markdown = Growing()
            await self.mount(self._markdown, before=".raw")
        if not text.startswith(self._written):
            # What seemed to be words were thoughts.
            await self._markdown.update("")
            self._written = ""
        if len(text) > len(self._written):
            await self._markdown.grow(text[len(self._written) :])
            self._written = text

    async def _finish(self, text: str) -> None:
        message = self.message
        self.set_class(not message.found, "-nothing")
        self._status("")
        if text and self._markdown is None:
            self._markdown = Growing(text)
            await self.mount(self._markdown, before=".raw")
        elif self._markdown is not None and self._markdown.source != text:
            await self._markdown.update(text)
        if message.unsupported:
            await self.mount(Static("[?] No row supports this sentence.", classes="unsupported", markup=False))
        if message.remarks:
            await self.mount(Static(Content(clean(message.remarks)), classes="remarks", markup=False))
        if message.passages:
            await self.mount(Citations(message.passages, message.text))
        if footer := message.footer():
            await self.mount(Static(Content(clean(footer)), classes="footer", markup=False))

    def _above(self) -> UserEntry | None:
        """Its question."""
        entries = list(self.parent.children) if self.parent else []
        return next((entry for entry in reversed(entries[: entries.index(self)]) if isinstance(entry, UserEntry)), None)

    def action_revise(self) -> None:
        """A question is put anew, not its answer: the one above."""
        if question := self._above():
            question.action_revise()

    def action_regenerate(self) -> None:
        self._ask("regenerate")

    def action_go_on(self) -> None:
        self._ask("continue")

    def _ask(self, verb: str) -> None:
        """Of an answer that was stopped before its first word nothing is kept: then its question is answered."""
        question = self._above()
        number = self.message.id or (question.message.id if question else 0)
        if number and not self.message.busy:
            self.post_message(RunLine(f"{verb} {number}"))

    def action_thoughts(self) -> None:
        if (thoughts := self.query_one(Thoughts)).display:
            thoughts.toggle()

    def action_raw(self) -> None:
        """All of it as the model wrote it, thoughts and signs of Markdown too; or drawn again."""
        raw = self.query_one(".raw", Static)
        raw.display = not raw.display
        raw.update(Content(clean(self.message.text)))
        if self._markdown is not None:
            self._markdown.display = not raw.display

    def _status(self, text: str) -> None:
        status = self.query_one(".status", Static)
        status.display = bool(text)
        status.update(text)
