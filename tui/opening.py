"""Opening what a person or an answer points at: a detail, a row, a whole screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.roaming import Roaming
from tui.screens.registry import SCREENS, screen_for
from tui.state.view import KINDS
from tui.text import one_line

if TYPE_CHECKING:
    from textual.widget import Widget

    from engine.commands.base import Command
    from tui import messages
    from tui.widgets.chatbox import ChatBox


class Opening(Roaming):
    """The part of the app that opens things, beside the lists or over them."""

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
