"""What the state says, on the panels: the lists of the workspace, the jobs, the conversation, the chat box's title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui.text import one_line

if TYPE_CHECKING:
    from textual.app import App

    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.catalog import CatalogState
    from tui.state.chat import ChatState
    from tui.state.jobs import JobsState
    from tui.state.view import ViewState

    Base = App[int]
else:
    Base = object


class Showing(Base):
    """The part of the app that reads the workspace's lists and draws the state."""

    bridge: Bridge
    parts: Parts
    view: ViewState
    chat: ChatState
    jobs: JobsState
    catalog: CatalogState
    preset: str

    if TYPE_CHECKING:
        # The app has this.
        async def load_job(self, job_id: str) -> None: ...

    async def read_catalog(self) -> None:
        """Look at the lists again."""
        if self.bridge.engine is None:
            return
        engine = self.bridge.engine

        def look() -> tuple[Any, ...]:
            names = (engine.current(kind) for kind in ("dataset", "model", "session"))
            return engine.workspace.indexes.find("guide"), engine.jobs(), engine.loaded(), engine.datasets(), engine.model_records(), *names

        guide, jobs, loaded, *records = await self.bridge.call(look)
        self.catalog.memory = {name: entry["bytes"] for name, entry in loaded.items()}
        self.catalog.load(*records)
        self.catalog.guide = guide is not None
        self.jobs.load(jobs)
        for job in self.jobs.ordered()[:50]:
            if not job.loaded and job.state in ("running", "paused", "interrupted"):
                await self.load_job(job.id)
        self.parts.datasets.draw(self.catalog)
        self.parts.dataset.catalog_changed(self.catalog)
        self.parts.models.draw(self.catalog)
        await self.draw_jobs(set(self.jobs.jobs))
        self.draw_mode()
        self.draw_welcome()

    async def draw_jobs(self, changed: set[str]) -> None:
        self.parts.jobs.draw(self.jobs)
        self.parts.bar.show_jobs(self.jobs)
        detail = self.parts.job
        if detail.job_id in changed and self.view.detail == "job":
            await detail.draw(self.jobs.jobs[detail.job_id])

    async def draw_chat(self, changed: Any) -> None:
        await self.parts.chat.draw(self.chat, changed)
        last = self.chat.last_answer
        self.parts.box.cites = bool(self.chat.offered or (last and last.passages and not last.busy))

    def draw_mode(self) -> None:
        """The box says what plain text means."""
        model = self.catalog.model or "no model yet"
        title = f"ask {self.catalog.dataset or 'guide'} · {model}" if self.chat.mode == "ask" else f"chat · {model}"
        title += f" · {self.preset}" if self.preset and self.chat.mode == "chat" else ""
        self.parts.box.border_title = Content(one_line(title, 60))
        self.parts.box.placeholder = f"{'Ask a question' if self.chat.mode == 'ask' else 'Say something'}, or type / for commands"

    def draw_welcome(self) -> None:
        panel = self.parts.chat
        busy, talks = self.jobs.running() or self.jobs.waiting(), any(model.talks for model in self.catalog.models)
        if self.catalog.ready:
            panel.welcome("Ask about Bittern, or add your own data with /add FILE. For example:", ready=True)
        elif busy and (not talks or self.catalog.dataset in ("", "guide")):
            panel.welcome("Getting the starter models… you can ask when this is done. Jobs shows how far it is.", ready=False)
        elif talks:
            panel.welcome("Add your own data with /add FILE and ask it, or type /setup to bring Bittern's guide.", ready=False)
        else:
            panel.welcome("There is no model to talk to yet. Type /setup to bring the starter models, or /pull NAME.", ready=False)
