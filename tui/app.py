"""BitternApp: the parts of the screen, and the wires between them, the state and the engine."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import TextArea

from engine import events
from engine.errors import BitternError
from tui.asking import Asking
from tui.bridge import Bridge
from tui.conversing import Conversing
from tui.drawing import MainScreen
from tui.leaving import Leaving
from tui.measuring import Measuring
from tui.opening import Opening
from tui.palette import Verbs
from tui.parts import Parts
from tui.showing import Showing
from tui.state.catalog import CatalogState
from tui.state.chat import ANSWERS, ChatState
from tui.state.jobs import JobsState
from tui.talk import Talk
from tui.text import clean
from tui.themes import DARK, LIGHT
from tui.widgets.chatbox import ChatBox, Completions
from tui.widgets.chips import Chips
from tui.widgets.keyline import KeyLine
from tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui import messages
    from tui.panels.chat import ChatPanel
    from tui.state.message import Message
    from tui.terminal import Outputs

log = logging.getLogger(__name__)


class BitternApp(Conversing, Measuring, Opening, Showing, Asking, Leaving, App[int]):
    """The screen. ``starter``: bring the starter models into a workspace where nothing was ever done."""

    TITLE = "Bittern"
    CSS_PATH = Path(__file__).parent / "styles" / "bittern.tcss"
    COMMANDS: ClassVar[set[Any]] = {*App.COMMANDS, Verbs}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    # Priority: they act before the next key is handed to the part that had the focus.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", priority=True),
        Binding("f2", "go('datasets')", "Datasets", show=False, priority=True),
        Binding("f3", "go('models')", "Models", show=False, priority=True),
        Binding("f4", "go('jobs')", "Jobs", show=False, priority=True),
        Binding("f5", "go('chat')", "Chat", show=False, priority=True),
        Binding("f6", "mode", "Ask/Chat", priority=True),
        Binding("f7", "sampling", "Sampling", show=False, priority=True),
        Binding("f8", "sessions", "Chats", show=False, priority=True),
        # Priority: the box has the focus before the next key comes, which a list would take for one of its own.
        Binding("slash", "box('/')", "Command", key_display="/", priority=True),
        Binding("i", "box('')", "Chat box", show=False),
        Binding("z", "zoom", "Zoom"),
        Binding("escape", "back", "Back", show=False),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(self, workspace: Path | None = None, *, warm: bool = True, starter: bool = True, outputs: Outputs | None = None) -> None:
        super().__init__()
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        # Not by assignment: that would style everything twice before the first picture.
        self.set_reactive(App.theme, DARK.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self.bridge = Bridge(self, workspace, warm=warm, outputs=outputs)
        self.chat = ChatState()
        self.jobs = JobsState()
        self.catalog = CatalogState()
        self.talk = Talk(self)
        self._starter = starter
        self._asked = 0

    def get_default_screen(self) -> MainScreen:
        return MainScreen()

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Horizontal(id="body")
        completions = Completions()
        yield completions
        yield Chips()
        yield ChatBox(completions)
        yield KeyLine()

    def on_mount(self) -> None:
        self.main = self.screen
        self.parts = Parts(self.main)
        self.parts.box.focus()
        self.call_after_refresh(self.furnish)

    async def furnish(self) -> None:
        """The first picture is on the screen: now the panels, and then the engine, which is imported on a thread."""
        await self.parts.furnish(self.bridge)
        self.draw_mode()
        self.arrange()
        self.bridge.open()

    # -- the engine speaks -------------------------------------------------------------------------------------

    async def on_bridge_opened(self) -> None:
        theme = self.engine.workspace.settings.theme
        if theme in self.available_themes and theme != "textual-dark":
            self.theme = theme
        await self.read_catalog()
        await self.turn_page()
        self.parts.box.remember(self.chat.typed())
        for job in self.jobs.ordered():
            if job.state in ("interrupted", "paused"):
                where = f" at step {job.checkpoint}" if job.checkpoint is not None else ""
                told = f"Job {job.id} ({job.title}) was {job.state}{where}. Press r in Jobs, or type /resume {job.id}."
                self.chat.add("note", told, verb="resume")
        await self.draw_chat(self.chat.messages)
        if self._starter:
            try:
                await self.bridge.call(self.engine.first_run)
            except Exception as error:
                log.exception("the starter could not be brought")
                self.fail(BitternError(f"The starter could not be brought: {error}", "Type /setup to try again."))
        await self.read_catalog()

    def on_bridge_failed(self, event: Bridge.Failed) -> None:
        self.parts.chat.welcome("The workspace could not be opened.", ready=False)
        self.fail(event.error)

    async def on_bridge_wake(self) -> None:
        if wait := self.bridge.pause_before_drain():
            # Not by a timer of Textual's, which is a task of its own each time.
            asyncio.get_running_loop().call_later(wait, self.call_next, self.take_events)
        else:
            await self.take_events()

    async def take_events(self) -> None:
        """Reduce everything that happened since the last look, then redraw only what changed."""
        changed: dict[int, Message] = {}
        jobs: set[str] = set()
        stale = turned = False
        for event in self.bridge.drain():
            if isinstance(event, events.CatalogChanged):
                stale = True
                turned = turned or event.what == "sessions"
            elif isinstance(event, events.CallFinished) and self.chat.quiet(event.job):
                self.talk.tell(event)
                stale = stale or event.verb == "move"
            elif message := self.chat.apply(event):
                changed[message.number] = message
                if isinstance(event, events.CallFinished):
                    changed |= {drawn.number: drawn for drawn in self.chat.around(event.job)}
                    self._after(event)
            elif job_id := self.jobs.apply(event):
                jobs.add(job_id)
                self.talk.tell_end(event)
                stale = stale or isinstance(event, (events.JobFinished, events.JobFailed))
            elif event.job and not event.job.startswith("call-") and event.job not in self.jobs.jobs:
                stale = True
        if jobs:
            await self.draw_jobs(jobs)
        if changed:
            await self.draw_chat(changed.values())
        if stale:
            self.run_worker(self.read_catalog(), group="catalog", exclusive=True, exit_on_error=False)
        if turned or self.chat.astray:
            self.run_worker(self.turn_page(), exit_on_error=False)

    def _after(self, event: events.CallFinished) -> None:
        result = event.result or {}
        if (opens := result.get("opens", "")) and not opens.startswith("job:"):
            self.run_worker(self.open_address(opens))
            return
        self.show_chat()
        if opens:
            job = opens.partition(":")[2]
            self.run_worker(self.point_at_job(job))
            if job in self.jobs.jobs and self.jobs.jobs[job].state == "done":
                # It was over before its beginning was told.
                self.run_worker(self.job_answered(job), exit_on_error=False)

    def fail(self, error: BitternError) -> None:
        """Show an error in the conversation; a word in the corner, where that is not seen."""
        if self.furnished and not self.sees_chat:
            self.notify(clean(f"{error.message} {error.hint}"), title=error.title, severity="error", markup=False)
        self.run_worker(self.draw_chat([self.chat.add("error", error.message, error=error.as_dict())]))

    # -- the person speaks -------------------------------------------------------------------------------------

    def on_chat_panel_asked(self, event: ChatPanel.Asked) -> None:
        """The examples are about Bittern, whatever dataset is in use."""
        plain = self.chat.mode == "ask" and self.catalog.dataset == "guide"
        self.said(ChatBox.Sent(event.text if plain else f"/ask --on guide {event.text}"))

    @on(ChatBox.Sent)
    def said(self, event: ChatBox.Sent) -> None:
        self.parts.chat.to_end()
        words = event.text[1:].split(maxsplit=1) if event.text.startswith("/") else []
        if not words or words[0] in ANSWERS:
            self.show_chat()
            if self.view.panel != "chat":
                self.view.panel = "chat"
                self.arrange()
        self.run_worker(self.talk.say(event.text))

    @on(TextArea.Changed, "#chatbox")
    @on(ChatBox.CompletionWanted)
    async def complete(self) -> None:
        """Completions of a slash line; only the answer to the newest text is shown."""
        self.measure_typed()
        box, shown = self.parts.box, self.parts.completions
        text = box.text
        self._asked += 1
        if not text.startswith("/") or "\n" in text or self.bridge.engine is None:
            shown.hide()
            return
        self.run_worker(self._complete(text, self._asked))

    async def _complete(self, text: str, asked: int) -> None:
        found = await self.talk.completions(text)
        if asked == self._asked:
            self.parts.completions.show(found)

    def on_run_line(self, event: messages.RunLine) -> None:
        self.run_worker(self.talk.run(event.line, quiet=event.quiet))

    async def on_told(self, event: messages.Told) -> None:
        if event.error:
            self.fail(event.error)
        else:
            await self.draw_chat([self.chat.add("note", event.text, verb="tour")])

    async def verbs(self) -> list[tuple[str, str]]:
        return await self.talk.verbs()

    def get_system_commands(self, screen: Any) -> Any:
        yield from super().get_system_commands(screen)
        yield "Train a model", "Open the form", self.open_train_form
        yield "Conversations", "Find, open, name, pin and put away conversations", self.action_sessions
        yield "Sampling", "The system prompt and the sampling of this conversation", self.action_sampling


def run_screen(workspace: Path | None = None) -> int:
    """Open the screen; returns the exit status."""
    import sys

    from tui.terminal import aside, ask_what_it_draws

    ask_what_it_draws()
    with aside() as outputs:
        app = BitternApp(workspace, outputs=outputs)
        result = app.run()
    if app.return_code:
        sys.stderr.write(
            "Bittern's screen stopped unexpectedly. Jobs are safe: start it again to resume them. The log folder of the workspace has the details.\n"
        )
    return result if result is not None else app.return_code or 0
