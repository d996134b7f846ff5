"""One line on top: the panels as tabs, and what the machine is busy with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui.state.jobs import bar, span
from tui.text import one_line

if TYPE_CHECKING:
    from tui.state.jobs import JobsState

TABS = (("datasets", "Datasets", "F2"), ("models", "Models", "F3"), ("jobs", "Jobs", "F4"), ("chat", "Chat", "F5"))


class TopBar(Static):
    """Tabs on the left (click or F2–F5), the running job on the right."""

    def __init__(self) -> None:
        super().__init__(id="topbar", markup=False)
        self._panel = "chat"
        self._jobs = [Content("")]
        """What to say of the running job, the most telling first: the first that fits is shown."""

    def show_panel(self, panel: str) -> None:
        self._panel = panel
        self._draw()

    def show_jobs(self, jobs: JobsState) -> None:
        running, waiting = jobs.running(), len(jobs.waiting())
        if running:
            job = running[0]
            full, rest = bar(job.percent, 10)
            title, line = Content.styled(f"{one_line(job.title, 24)}  ", "$text"), Content.assemble((full, "$success"), (rest, "$text-disabled"))
            percent = Content.styled(f" {job.percent:.0f}%" if job.percent is not None else "", "bold")
            left = Content.styled(f" {span(job.eta)} left" if job.eta is not None else "", "$text-muted")
            more = len(running) - 1 + waiting
            others = Content.styled(f"  +{more}" if more else "", "$text-muted")
            self._jobs = [
                Content.assemble(title, line, percent, left, others), Content.assemble(line, percent, left, others),
                Content.assemble(line, percent, others), Content.assemble(percent, others),
            ]  # fmt: skip
        else:
            self._jobs = [Content.styled(f"{waiting} waiting" if waiting else "idle", "$text-disabled")]
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        narrow = self.size.width < 76
        tabs: list[Content | tuple[str, str] | str] = [Content.from_markup("[bold $accent] Bittern[/] ") if not narrow else ""]
        for name, label, key in TABS:
            style = "bold reverse" if name == self._panel else "$text-muted"
            hint = "" if self.size.width < 110 else f"{key} "
            tabs.append(Content.assemble((f" {hint}{label} ", style)).stylize(f"@click=app.go('{name}')"))
        left = Content.assemble(*tabs)
        room = self.size.width - left.cell_length - 2
        jobs = next((shown for shown in self._jobs if shown.cell_length <= room), None)
        if jobs is None:
            self.update(Content.assemble(left).truncate(max(1, self.size.width)))
            return
        self.update(Content.assemble(left, " " * (room - jobs.cell_length + 1), jobs))
