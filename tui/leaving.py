"""The way out: what becomes of unfinished jobs, and closing the engine with their checkpoints written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

    from engine.engine import Engine
    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.jobs import JobsState

    Base = App[int]
else:
    Base = object

log = logging.getLogger(__name__)


class Leaving(Base):
    """The part of the app that ends it."""

    bridge: Bridge
    parts: Parts
    jobs: JobsState

    async def action_quit(self) -> None:
        """Leave; with unfinished jobs, ask first what becomes of them."""
        from tui.screens.ask import AskScreen, SavingScreen, quit_screen

        self.parts.completions.hide()
        if any(isinstance(screen, (AskScreen, SavingScreen)) for screen in self.screen_stack):
            return
        mine = set(self.bridge.engine.queue.busy()) if self.bridge.engine else set()
        # A job that another process runs goes on without this screen.
        open_jobs = [job for job in self.jobs.ordered() if job.state == "queued" or (job.state == "running" and job.id in mine)]
        if not open_jobs:
            self.run_worker(self._end("pause", []), exit_on_error=False)
            return

        def finished(answer: str | None) -> None:
            if answer in ("background", "pause", "cancel"):
                self.run_worker(self._end(answer, [job.id for job in open_jobs]), exit_on_error=False)

        self.push_screen(quit_screen([f"{job.id}  {job.title}" for job in open_jobs]), finished)

    async def _end(self, how: str, open_jobs: list[str]) -> None:
        """Close the engine (each running job writes a checkpoint), then leave."""
        from tui.screens.ask import SavingScreen

        if open_jobs:
            self.push_screen(SavingScreen())
        engine = self.bridge.engine
        try:
            if engine is not None:
                await self.bridge.call(lambda: settle(engine, how, open_jobs))
            await self.bridge.close()
            if engine is not None and how == "background":
                from tui.headless import detach

                detach(engine)
        except Exception:
            # Whatever it is (a version that was replaced under the running one, a full disk): the jobs table has the truth, and a
            # start of the screen tells it; the way out stays open.
            log.exception("the jobs could not be settled")
        self.exit(0)


def settle(engine: Engine, how: str, open_jobs: list[str]) -> None:
    """Cancel the open jobs, or pause them with a checkpoint; for the background they are queued again at once."""
    if how == "cancel":
        for job_id in open_jobs:
            if engine.job(job_id).state in ("queued", "running"):
                engine.run(engine.parse(f"cancel {job_id}"))
    engine.queue.close()
    if how == "background":
        for job_id in open_jobs:
            if engine.job(job_id).state == "paused":
                engine.run(engine.parse(f"resume {job_id}"))
