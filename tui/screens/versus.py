"""Two to four answers side by side, filling as they come; keys vote, and only then the names are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine import events
from engine.errors import BitternError, Stopped
from tui.messages import Told
from tui.state.versus import VersusView
from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from engine.commands.base import Command
    from engine.engine import Engine
    from tui.bridge import Bridge


class Column(VerticalScroll):
    """One answer."""

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def draw(self, title: str, text: str) -> None:
        self.border_title = Content(one_line(title, 60))
        self.query_one(Static).update(Content(clean(text)))


class VersusScreen(ModalScreen[None]):
    """``name`` is a ballot's number, ``batch-JOB`` for the ballots of a job, or the sides (``a,b``) that wait for a prompt;
    ``request`` is a ``versus`` that is answered at once."""

    CSS = """
    VersusScreen { align: left top; background: $background; }
    #versus-head { height: auto; max-height: 4; background: $panel; padding: 0 1; }
    #versus-columns { height: 1fr; }
    VersusScreen Column { width: 1fr; height: 1fr; border: round $border-blurred; border-title-color: $text; padding: 0 1; }
    VersusScreen Column:focus { border: round $primary; }
    #versus-told { height: 1; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"vote('{number}')", f"{number} is best" if number < 3 else "", show=number < 3) for number in range(1, 5)),
        Binding("t,0", "vote('tie')", "Tie"),
        Binding("s", "vote('skip')", "Skip"),
        Binding("n", "next", "Next"),
        Binding("escape", "leave", "Stop/Back", priority=True),
    ]

    @dataclass
    class Heard(Message):
        """Something happened to the answer that is on its way."""

        event: events.Event

    def __init__(self, bridge: Bridge, name: str, request: Command | None = None) -> None:
        super().__init__()
        self._bridge = bridge
        self._request = request
        self.view = VersusView(name)
        self._cancel: Any = None

    def compose(self) -> ComposeResult:
        yield Static(id="versus-head", markup=False)
        yield Horizontal(id="versus-columns")
        yield Static(id="versus-told", markup=False)
        yield Input(id="versus-prompt", placeholder="What to ask all of them; Enter asks", compact=True)
        yield KeyLine()

    async def on_mount(self) -> None:
        prompt = self.query_one("#versus-prompt", Input)
        prompt.display = bool(self.view.sides)
        if self.view.sides:
            self.view.begin("")
            prompt.focus()
            await self._draw()
            if self._request and (engine := self._bridge.engine):
                await self._begin(engine, self._request)
        else:
            await self._run(["ballot", self.view.name] if self.view.name.isdigit() else ["ballot", "--batch", self.view.batch])

    async def on_versus_screen_heard(self, heard: Heard) -> None:
        if isinstance(heard.event, events.SideDelta) and self.view.ticket:
            self.view.add(heard.event.side, heard.event.text)
            await self._draw()

    async def _run(self, words: list[str]) -> None:
        """A Command that answers with a ballot."""
        engine = self._bridge.engine
        if engine is None:
            return
        try:
            found = await self._bridge.call(lambda: engine.run(engine.parse_words(words)))
        except BitternError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        if found.data.get("places"):
            self.view.take(found.data)
        else:
            self.notify(clean(found.summary), markup=False)
        await self._draw()

    async def _draw(self) -> None:
        view = self.view
        columns = self.query_one("#versus-columns")
        if len(columns.children) != len(view.texts):
            await columns.remove_children()
            await columns.mount(*(Column() for _ in view.texts))
            if not view.sides and columns.children:
                columns.children[0].focus()
        for place, column in enumerate(columns.query(Column)):
            column.draw(view.title(place), view.texts[place])
        self.query_one("#versus-head", Static).update(Content(clean(view.head() or "Nothing waits for a vote.")))
        best = " or ".join(", ".join(str(place + 1) for place in range(len(view.texts))).rsplit(", ", 1))
        told = f"Which is best? {best}, t for a tie, s skips." if view.waits else "n goes to the next." if view.ballot else one_line(view.note, 200)
        self.query_one("#versus-told", Static).update(Content(told))

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        engine, text = self._bridge.engine, event.value.strip()
        if engine is None or not text or self.view.ticket:
            return
        from engine.commands.registry import command

        event.input.value = ""
        values = self._request.model_dump(exclude_unset=True) if self._request else {"sides": self.view.sides}
        await self._begin(engine, command("versus").model_validate({**values, "text": text}))

    async def _begin(self, engine: Engine, request: Command) -> None:
        self.view.begin("asked", str(request.model_dump()["text"]))
        await self._draw()
        self.run_worker(self._ask(engine, request), exit_on_error=False)

    async def _ask(self, engine: Engine, request: Command) -> None:
        """Let the sides answer: their pieces come as messages, the whole as a ballot."""
        self._cancel = cancel = engine.token()

        def hear(event: events.Event) -> None:
            self.post_message(self.Heard(event))

        try:
            found = await self._bridge.call(lambda: engine.run(request, hear, cancel))
        except (BitternError, Stopped) as error:
            self.view.ticket, self.view.note = "", "Stopped." if isinstance(error, Stopped) else clean(str(error))
        else:
            self.view.take(found.data)
            self.app.post_message(Told(found.summary))  # the conversation keeps its number
            self.query_one("#versus-columns").children[0].focus()
        await self._draw()

    async def action_vote(self, which: str) -> None:
        if self.view.waits and (not which.isdigit() or int(which) <= len(self.view.texts)):
            await self._run(["vote", str(self.view.ballot["ballot"]), which])

    async def action_next(self) -> None:
        if self.view.sides:
            self.query_one("#versus-prompt").focus()
        else:
            await self._run(["ballot", *(["--batch", self.view.batch] if self.view.batch else [])])

    def action_leave(self) -> None:
        if self.view.ticket and self._cancel:
            self._cancel.ask("cancel")
        else:
            self.dismiss()
