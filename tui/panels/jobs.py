"""Jobs: the list with its progress, and the curves, figures and log of one of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.messages import AskSure, RunLine, ShowDetail
from tui.state.catalog import size
from tui.state.jobs import RESUMABLE, bar, chart, shown, span
from tui.state.plot import INKS
from tui.text import cells, clean, one_line
from tui.widgets.lists import NamedList
from tui.widgets.plot import PlotView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from tui.state.jobs import JobsState, JobView

COLOURS = {
    "queued": "$text-muted", "running": "$success", "paused": "$warning", "done": "$success", "failed": "$error",
    "cancelled": "$text-disabled", "interrupted": "$warning",
}  # fmt: skip
LOG_SHOWN = 120


class JobsPanel(NamedList):
    """The jobs: those that run, those that wait in their order, then the newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Look"),
        Binding("p", "ask('pause')", "Pause"),
        Binding("r", "ask('resume')", "Resume"),
        Binding("x", "cancel", "Cancel"),
        Binding("u", "move('up')", "Up"),
        Binding("d", "move('down')", "Down"),
        Binding("c", "curves", "Chart"),
    ]

    def __init__(self) -> None:
        super().__init__(id="jobs", empty="No jobs yet. Training, indexing and downloads appear here while they run.")
        self.border_title = "Jobs"
        self._states: dict[str, str] = {}
        self._jobs: JobsState | None = None

    def draw(self, jobs: JobsState) -> None:
        self._jobs = jobs
        shown = jobs.ordered()
        self._states = {job.id: job.state for job in shown}
        running = len(jobs.running())
        self.border_title = f"Jobs {len(shown)}" if shown else "Jobs"
        self.border_subtitle = f"{running} running" if running else ""
        self.show([(job.id, self._entry(job)) for job in shown])

    def _entry(self, job: JobView) -> Content:
        colour = COLOURS.get(job.state, "")
        width = self.size.width - 1 if self.size.width > 20 else 34
        partly = f" {job.percent:.0f}%" if job.percent and job.state in ("paused", "interrupted") else ""
        state = "" if job.state == "running" else f"  {job.state}{partly}"
        title = one_line(job.title, max(8, width - len(job.id) - 3 - len(state)))
        head = [(f"{job.glyph} ", colour), (f"{job.id} ", "$text-muted"), (title, "" if state else "bold")]
        if job.state == "running":
            done = size(job.done) if job.unit == "bytes" else f"{job.done:g} {job.unit}"
            tail = f" {job.percent:.0f}%" if job.percent is not None else f" {done}" if job.done else " …"
            if job.unit == "bytes" and job.rate:
                tail += f" {size(job.rate)}/s"
            left = f" {span(job.eta)} left" if job.eta is not None else ""
            full, rest = bar(job.percent, max(4, min(12, width - 2 - cells(tail) - cells(left))))
            return Content.assemble(*head, "\n  ", (full, "$success"), (rest, "$text-disabled"), (tail, ""), (left, "$text-muted"))
        return Content.assemble(*head, (state, colour))

    def on_resize(self) -> None:
        if self._jobs is not None:
            self.draw(self._jobs)  # titles are cut to the width

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(ShowDetail("job", event.option.id))

    def action_ask(self, what: str) -> None:
        if self.chosen:
            self.post_message(RunLine(f"{what} {self.chosen}", quiet=True))

    def action_cancel(self) -> None:
        if not self.chosen:
            return
        line = f"cancel {self.chosen}"
        if self._states.get(self.chosen) == "running":
            self.post_message(AskSure(f"Cancel job {self.chosen} while it runs? What it has kept so far stays.", line, "Cancel the job"))
        else:
            self.post_message(RunLine(line, quiet=True))

    def action_curves(self) -> None:
        """The figures of this job and of the three before it that do the same work, on one chart; of a sweep its trials."""
        if not self.chosen or self._jobs is None:
            return
        job = self._jobs.jobs[self.chosen]
        if job.verb == "sweep":
            self.post_message(RunLine(f"trials {job.id}"))
            return
        over = self._jobs.ordered()
        older = over[over.index(job) :]
        # One model on one dataset first: what others lost is not to be compared with it.
        alike = [other.id for other in older if other.title == job.title]
        if len(alike) == 1:
            alike = [other.id for other in older if other.verb == job.verb]
        self.post_message(RunLine(" ".join(["curves", *alike[:4]])))

    def action_move(self, where: str) -> None:
        if self.chosen:
            self.post_message(RunLine(f"move {self.chosen} {where}", quiet=True))


class JobDetail(Vertical):
    """One job: progress, curves, figures, log."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "ask('pause')", "Pause"),
        Binding("r", "ask('resume')", "Resume"),
        Binding("x", "cancel", "Cancel"),
        Binding("c", "curves", "Chart"),
    ]

    def __init__(self) -> None:
        super().__init__(id="job-detail", classes="detail")
        self.job_id = ""
        self._verb = ""
        self._running = False
        self._drawn: object = None
        self._job: JobView | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="job-head", markup=False, classes="facts")
        yield PlotView(id="curves")
        with VerticalScroll(id="job-log"):
            yield Static(id="job-log-text", markup=False)

    async def draw(self, job: JobView) -> None:
        """Show a job as it stands."""
        fresh = job.id != self.job_id
        self.job_id, self._verb, self._running = job.id, job.verb, job.state == "running"
        self._job = job
        self.query_one("#job-head", Static).update(self._head(job))
        self._draw_curves(job)
        log = self.query_one("#job-log", VerticalScroll)
        if fresh:
            log.anchor()
        lines = list(job.log)[-LOG_SHOWN:]
        self.query_one("#job-log-text", Static).update(Content("\n".join(clean(line) for line in lines)))
        parent = self.parent
        if parent is not None:
            parent.border_title = Content(one_line(f"Job {job.id}  {job.title}", 60))  # type: ignore[attr-defined]

    def _draw_curves(self, job: JobView) -> None:
        """A chart is drawn again only when a point came."""
        drawn = job.id, [(name, job.curves[name].heard) for name in shown(job.curves)]
        if drawn != self._drawn:
            self._drawn = drawn
            view = self.query_one(PlotView)
            view.display = bool(drawn[1])
            view.show(partial(chart, job.curves), INKS)

    def _head(self, job: JobView) -> Content:
        colour = COLOURS.get(job.state, "")
        full, rest = bar(job.percent, 30)
        parts: list[Content | tuple[str, str] | str] = [(f"{job.glyph} {job.state}", f"bold {colour}"), "  "]
        if job.percent is not None:
            parts += [(full, "$success" if job.state in ("running", "done") else colour), (rest, "$text-disabled"), (f" {job.percent:.0f}%", "bold")]
        if job.note and job.state == "running":
            parts.append((f"  {one_line(job.note, 70)}", "$text-muted"))
        parts += self._figures(job)
        if job.summary:
            parts += ["\n", (clean(job.summary), "$success")]
        if job.error:
            parts += ["\n", (clean(job.error.get("message", "")), "$error"), "\n", (clean(job.error.get("hint", "")), "$text")]
            for repair in job.error.get("repairs", []):
                parts += ["\n", ("/", "$accent"), one_line(repair["line"], 200), (f"  {one_line(repair['label'], 80)}", "$text-muted")]
        if job.state in RESUMABLE:
            from_where = "go on from its last checkpoint" if job.checkpoint is not None else "begin again" if job.state == "failed" else "go on"
            parts += ["\n", (f"Press r to {from_where}.", "$text-muted")]
        return Content.assemble(*parts)

    def _figures(self, job: JobView) -> Iterator[Content | str]:
        """The figures in lines that end between two of them: one that is cut from its name is no longer read at a glance."""
        drawn = {name.replace("_", " "): (letter, ink) for (name, letter), ink in zip(shown(job.curves).items(), INKS, strict=False)}
        width, used = self.query_one("#job-head").content_size.width or 1000, 0
        for name, value in job.figures():
            parts: list[tuple[str, str]] = []
            if name in drawn:  # the figures are the legend of the chart
                letter, ink = drawn[name]
                parts.append((f"{letter} ", "bold rgb({},{},{})".format(*ink)))
            parts += [(f"{one_line(name, 20)} ", "$text-muted"), (one_line(value, 30), "bold")]
            if name not in drawn and (bars := job.bars(name)):
                parts.append((f" {bars}", "$secondary"))
            figure = Content.assemble(*parts)
            fits = used and used + 3 + figure.cell_length <= width
            used = used + 3 + figure.cell_length if fits else figure.cell_length
            yield "   " if fits else "\n"
            yield figure

    def on_resize(self) -> None:
        if self._job is not None:
            self.query_one("#job-head", Static).update(self._head(self._job))

    def action_ask(self, what: str) -> None:
        if self.job_id:
            self.post_message(RunLine(f"{what} {self.job_id}", quiet=True))

    def action_cancel(self) -> None:
        if self._running:
            self.post_message(
                AskSure(f"Cancel job {self.job_id} while it runs? What it has kept so far stays.", f"cancel {self.job_id}", "Cancel the job")
            )
        else:
            self.action_ask("cancel")

    def action_curves(self) -> None:
        """This job's figures on a chart of their own, with a cursor; of a sweep its trials."""
        if self.job_id:
            self.post_message(RunLine(f"{'trials' if self._verb == 'sweep' else 'curves'} {self.job_id}"))
