"""Moving about: which panel, which detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.actions import SkipAction
from textual.widgets import Input, TextArea

from engine.errors import BitternError
from tui.screens.registry import SCREENS, screen_for
from tui.state.view import KINDS, LISTS, WIDE, ViewState
from tui.text import one_line

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Resize
    from textual.screen import Screen
    from textual.widget import Widget

    from engine.commands.base import Command
    from engine.engine import Engine
    from tui import messages
    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.catalog import CatalogState
    from tui.state.chat import ChatState
    from tui.state.jobs import JobsState
    from tui.state.message import Message
    from tui.talk import Talk
    from tui.widgets.chatbox import ChatBox

    Base = App[int]
else:
    Base = object


class Roaming(Base):
    """The part of the app that moves between panels; everything it draws is drawn by the panels."""

    bridge: Bridge
    chat: ChatState
    jobs: JobsState
    catalog: CatalogState
    talk: Talk
    main: Screen[Any]
    parts: Parts

    if TYPE_CHECKING:
        # The app has these.
        def draw_mode(self) -> None: ...

        async def draw_chat(self, changed: Any) -> None: ...

        async def verbs(self) -> list[tuple[str, str]]: ...

    def __init__(self) -> None:
        super().__init__()
        self.view = ViewState()

    @property
    def furnished(self) -> bool:
        """Whether the panels are on the screen; the first picture has none yet."""
        return hasattr(self, "parts") and self.parts.furnished

    @property
    def engine(self) -> Engine:
        """The open engine. Raises ``BitternError`` before it is there."""
        if self.bridge.engine is None:
            raise BitternError("The workspace is still being opened.", "Try again in a moment.")
        return self.bridge.engine

    # -- where the person is -----------------------------------------------------------------------------------

    def arrange(self, width: int = 0) -> None:
        """Show the parts that the view asks for, on a screen of ``width`` columns (0: as wide as it is)."""
        seen = self.view.visible(width or self.size.width)
        for name in (*LISTS, "detail", "chat"):
            self.main.query_one(f"#{name}").display = name in seen
        side = self.main.query_one("#side")
        side.display = any(name in seen for name in LISTS)
        side.styles.width = "1fr" if self.view.zoom in LISTS else None
        self.parts.bar.show_panel(self.view.panel)

    def on_resize(self, event: Resize) -> None:
        if self.furnished:
            # The screen itself learns its new size only after this.
            self.arrange(event.size.width)

    def action_go(self, panel: str) -> None:
        """Go to a panel: its list, or the chat box."""
        self.view.panel = panel
        if self.view.zoom:
            self.view.zoom = ""
        if panel in KINDS and self.size.width < WIDE:
            self.view.detail = ""
        self.arrange()
        if panel == "chat":
            self.parts.box.focus()
        else:
            self.main.query_one(f"#{panel}").focus()

    @property
    def sees_chat(self) -> bool:
        """Whether the conversation is on the screen."""
        return self.screen is self.main and "chat" in self.view.visible(self.size.width)

    def show_chat(self) -> None:
        """What a line was answered with stands in the conversation: that comes to the front where another part hides it."""
        if self.sees_chat or self.screen is not self.main:
            return
        if self.size.width < WIDE:
            self.action_go("chat")
        else:
            self.view.zoom = ""
            self.arrange()

    def on_descendant_focus(self, event: Any) -> None:
        """On a wide screen the panel is where the focus is."""
        part = self.part_of(event.widget)
        panel = {kind: name for name, kind in KINDS.items()}.get(self.view.detail, "chat") if part == "detail" else part
        if panel and panel != self.view.panel and self.size.width >= WIDE:
            self.view.panel = panel
            self.parts.bar.show_panel(panel)

    def part_of(self, widget: Widget | None) -> str:
        """The part of the screen a widget stands in."""
        for node in widget.ancestors_with_self if widget else ():
            if node.id in (*LISTS, "detail", "chat"):
                return str(node.id)
            if node.id == "chatbox":
                return "chat"
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing moves behind a dialog, nor before the panels are there."""
        if action in ("go", "mode", "help", "box", "zoom", "back", "sampling", "sessions") and (not self.furnished or self.screen is not self.main):
            return False
        return super().check_action(action, parameters)

    def action_box(self, text: str) -> None:
        """To the chat box, with the beginning of a line; in a field the key is text."""
        if isinstance(self.focused, (Input, TextArea)):
            raise SkipAction
        box = self.parts.box
        if text and not box.text:
            box.put(text)
        self.main.set_focus(box)

    def on_fill_box(self, event: messages.FillBox) -> None:
        box = self.parts.box
        box.put(event.text)
        box.focus()

    def action_zoom(self) -> None:
        self.view.toggle_zoom(self.part_of(self.focused) or self.view.panel)
        self.arrange()

    async def action_back(self) -> None:
        """One step back: stop an answer that is being read, inside the detail, then out of it, then to the chat box."""
        if (message := self.chat.busy) and self.part_of(self.focused) == "chat":
            self.stop(message)
        elif self.view.detail and self.part_of(self.focused) == "detail":
            if self.view.detail == "dataset" and self.parts.dataset.back():
                return
            panel = {kind: name for name, kind in KINDS.items()}[self.view.detail]
            self.view.detail = self.view.zoom = ""
            self.action_go(panel)
        elif self.view.zoom or (self.view.detail and self.size.width >= WIDE):
            self.view.detail = self.view.zoom = ""
            self.arrange()
        else:
            self.action_go("chat")

    def on_chat_box_left(self) -> None:
        """Esc in the box: stop a running answer, else go to the panels."""
        if (message := self.chat.busy) and self.bridge.engine:
            self.stop(message)
        elif self.size.width < WIDE and self.view.panel == "chat":
            self.parts.chat.focus()
        else:
            self.action_go(self.view.panel if self.view.panel in KINDS else "datasets")

    def stop(self, message: Message) -> None:
        """Ask an answer to stop, and say so: a model that still reads the question stops when it has read it."""
        self.engine.stop(message.ticket)
        message.stopping = True
        self.run_worker(self.draw_chat([message]))

    def action_mode(self) -> None:
        self.chat.mode = "chat" if self.chat.mode == "ask" else "ask"
        self.draw_mode()

    # -- details -----------------------------------------------------------------------------------------------

    async def on_show_detail(self, event: messages.ShowDetail) -> None:
        await self.show_detail(event.kind, event.name)

    async def show_detail(self, kind: str, name: str) -> None:
        """Open a dataset, a model or a job beside the lists."""
        if kind == "dataset" and (dataset := self.catalog.find_dataset(name)):
            self._open(kind, self.parts.dataset)
            self.parts.dataset.open(dataset)
        elif kind == "model" and (model := self.catalog.find_model(name)):
            self._open(kind, self.parts.model)
            self.parts.model.draw(model, model.name == self.catalog.model)
            self.parts.model.focus()
            if (engine := self.bridge.engine) is not None:
                memory = await self.bridge.call(lambda: engine.memory_lines(name))
                if self.parts.model.name_shown == name:
                    self.parts.model.draw(model, model.name == self.catalog.model, memory)
        elif kind == "job" and name in self.jobs.jobs:
            await self.load_job(name)
            self._open(kind, self.parts.job)
            await self.parts.job.draw(self.jobs.jobs[name])
            self.main.query_one("#job-log").focus()

    def _open(self, kind: str, detail: Widget) -> None:
        self.view.detail = kind
        self.view.panel = {kind: name for name, kind in KINDS.items()}[kind]
        if self.view.zoom != "detail":
            self.view.zoom = ""
        switcher = self.parts.switcher
        switcher.current = detail.id
        switcher.border_subtitle = ""
        self.arrange()

    async def load_job(self, job_id: str) -> None:
        """Read a job's journal once, so that its curves and log are whole."""
        if self.jobs.jobs[job_id].loaded or self.bridge.engine is None:
            return
        self.jobs.load_history(job_id, await self.bridge.call(lambda: self.engine.events_of(job_id)))

    async def point_at_job(self, job_id: str) -> None:
        """Put the cursor on a job; open it where there is room and nothing else is open."""
        if job_id not in self.jobs.jobs:
            return
        self.parts.jobs.choose(job_id)

    async def on_open_row(self, event: messages.OpenRow) -> None:
        await self.open_row(event.address, event.passage, event.answer)

    async def open_row(self, address: str, passage: str = "", answer: str = "") -> None:
        """Open a row in full by its address, ``name/split/index``."""
        name, _, rest = address.partition("/")
        split, _, index = rest.rpartition("/")
        dataset = self.catalog.find_dataset(name)
        if dataset is None or not index.isdigit() or split not in dataset.splits:
            self.notify(f"The row {address} is not in the workspace any more.", severity="warning", markup=False)
            return
        self._open("dataset", self.parts.dataset)
        self.parts.dataset.open_row(dataset, split, int(index), passage, answer)

    def on_run_verb(self, event: messages.RunVerb) -> None:
        self.run_worker(self.talk.run_verb(event.verb, event.values, told=event.told))

    def on_open_view(self, event: messages.OpenView) -> None:
        dataset = self.catalog.find_dataset(event.dataset)
        if dataset is None or event.split not in ("", *dataset.splits):
            self.notify(f"{event.dataset}/{event.split} is not in the workspace any more.", severity="warning", markup=False)
            return
        while self.screen is not self.main:
            self.pop_screen()
        self._open("dataset", self.parts.dataset)
        self.parts.dataset.open_view(dataset, event.split, event.where)

    async def open_address(self, address: str) -> None:
        """Go where a Result points: ``dataset:NAME/SPLIT/ROW``, ``model:NAME``, ``job:ID``, or one of ``SCREENS``."""
        kind, _, name = address.partition(":")
        if kind == "dataset" and "/" in name:
            await self.open_row(name)
        elif kind in ("dataset", "model", "job"):
            await self.show_detail(kind, name)
        elif kind in SCREENS:
            screen = await self.bridge.call(lambda: screen_for(kind))
            self.push_screen(screen(self.bridge, name))

    async def compare(self, request: Command) -> None:
        """The answers of a ``versus`` side by side, while they come."""
        screen: Any = await self.bridge.call(lambda: screen_for("versus"))
        self.push_screen(screen(self.bridge, request.model_dump()["sides"], request))

    async def on_open_screen(self, event: messages.OpenScreen) -> None:
        await self.open_address(f"{event.kind}:{event.name}")

    def sign_in(self, line: str = "login") -> None:
        """Ask for the token or the key that a Command needs, unseen, and run it."""
        from tui.screens.sign_in import SignInScreen

        def finished(told: str | None) -> None:
            if told:
                self.notify(one_line(told, 200), title=line.split(maxsplit=1)[0], markup=False)

        self.push_screen(SignInScreen(self.bridge, line), finished)

    async def job_answered(self, job_id: str) -> None:
        """Put a job's answer where its beginning was told, and open the whole screen that it points at, unless the
        person is busy with something else. A job that was not begun here (a shell's, another screen's) opens nothing."""
        answer = await self.bridge.call(lambda: self.engine.result(job_id))
        message = self.chat.answered(job_id, answer.as_dict())
        if message is None:
            return
        await self.draw_chat([message])
        if answer.opens.partition(":")[0] in SCREENS and self.screen is self.main and not self.parts.box.text:
            await self.open_address(answer.opens)

    async def on_chat_box_cited(self, event: ChatBox.Cited) -> None:
        last = self.chat.last_answer
        number = int(event.digit) - 1
        if number < len(self.chat.offered):
            self.parts.box.say(f"/{self.chat.offered[number]['line']}")
        elif last and number < len(last.passages):
            from tui.widgets.entries import cited

            await self.on_open_row(cited(last.passages[number], last.text))
        else:
            self.parts.box.put(event.digit)
