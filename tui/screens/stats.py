"""Statistics of a dataset or of one split: its columns, the figures of one, and bars that open the rows they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine import events
from engine.errors import BitternError
from tui.messages import OpenView
from tui.state.stats import Bar, StatsView, drawn
from tui.text import one_line
from tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from tui.bridge import Bridge

LABEL = 30


class Bars(OptionList):
    """Each bar opens the rows it counts."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Show these rows")]


def _named(column: dict[str, Any]) -> Content:
    """A column in the list; a part stands under its own, by what is left of its name."""
    part = column.get("part_of", "")
    name = f"  {one_line(column['name'].removeprefix(part), 18)}" if part else one_line(column["name"], 20)
    return Content.assemble((name, "" if part else "bold"), (f"  {column['kind']}", "$text-muted"))


class StatsScreen(ModalScreen[None]):
    """``name`` is the dataset's, or ``dataset/split``. What is not computed yet is computed; the screen follows the job."""

    CSS = """
    StatsScreen { align: left top; background: $background; }
    #stats-head { height: 1; background: $panel; padding: 0 1; }
    #stats-body { height: 1fr; }
    #stats-columns { width: 34; height: 1fr; border: round $border-blurred; background: $background; }
    #stats-column { width: 1fr; height: 1fr; }
    #stats-figures { height: auto; max-height: 12; padding: 0 1; margin-bottom: 1; }
    #stats-bars { height: 1fr; border: round $border-blurred; background: $background; scrollbar-size-vertical: 1; }
    #stats-columns:focus, #stats-bars:focus { border: round $primary; }
    StatsScreen.-narrow #stats-columns { width: 22; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
        Binding("left", "columns", "Columns", show=False),
        Binding("right", "bars", "Bars", show=False),
        Binding("s", "split", "Split"),
        Binding("r", "again", "Compute anew"),
    ]

    @dataclass
    class Heard(Message):
        """Something happened to the job that computes."""

        event: events.Event

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        dataset, _, split = name.partition("/")
        self.view = StatsView(dataset, split)
        self._column = 0
        self._wheres: dict[str, str] = {}
        self._silence: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="stats-head", markup=False)
        with Horizontal(id="stats-body"):
            yield OptionList(id="stats-columns", markup=False, compact=True)
            with Vertical(id="stats-column"):
                yield Static(id="stats-figures", markup=False)
                yield Bars(id="stats-bars", markup=False, compact=True)
        yield KeyLine()

    async def on_mount(self) -> None:
        self.query_one("#stats-columns", OptionList).focus()
        engine = self._bridge.engine
        if engine is not None:
            self._silence = engine.subscribe(self._hear)
        await self._load()

    def on_unmount(self) -> None:
        if self._silence:
            self._silence()

    # -- the figures come --------------------------------------------------------------------------------------

    def _hear(self, event: events.Event) -> None:
        if event.job and event.job == self.view.job:
            self.post_message(self.Heard(event))

    async def _load(self, line: str = "stats") -> None:
        """Take what is there, or the job that makes it: one that runs already, or a new one."""
        engine, name, split = self._bridge.engine, self.view.dataset, self.view.split
        if engine is None:
            return

        def look() -> dict[str, Any]:
            for job in engine.jobs():
                asked = (job.command.get("dataset"), job.command.get("split", ""))
                if job.verb == "stats" and job.state in ("queued", "running") and asked == (name, split):
                    return {"job": job.id}
            return engine.run(engine.parse_words([*line.split(), name, *(["--split", split] if split else [])])).data

        try:
            found = await self._bridge.call(look)
            if (name, split) != (self.view.dataset, self.view.split):
                return
            self.view.job = str(found.get("job", ""))
            if self.view.job and (await self._bridge.call(lambda: engine.job(found["job"]))).state == "done":
                found = await self._bridge.call(look)  # it was over before this screen knew its number
        except BitternError as error:
            self.view.note = f"{error.message} {error.hint}"
            self._draw_head()
            return
        if "job" in found:
            self.view.job, self.view.note = found["job"], "computing …"
        else:
            self.view.job, self.view.note, self.view.data = "", "", found
            self._draw_columns()
        self._draw_head()

    async def on_stats_screen_heard(self, heard: Heard) -> None:
        event = heard.event
        if isinstance(event, events.JobProgress):
            self.view.note = f"{event.note or 'computing'} …" + (f" {event.done / event.total:.0%}" if event.total else "")
            self._draw_head()
        elif isinstance(event, events.JobFinished):
            await self._load()
        elif isinstance(event, (events.JobFailed, events.JobCancelled)):
            self.view.job = ""
            self.view.note = f"{event.message} {event.hint}" if isinstance(event, events.JobFailed) else "It was cancelled; r computes them anew."
            self._draw_head()

    # -- drawing -----------------------------------------------------------------------------------------------

    def _draw_head(self) -> None:
        told = f"  {one_line(self.view.told, 120)}" if self.view.data else f"  {one_line(self.view.split, 30)}"
        head = Content.assemble((one_line(self.view.dataset, 40), "bold $accent"), told, (f"  {one_line(self.view.note, 200)}", "$warning"))
        self.query_one("#stats-head", Static).update(head)

    def _draw_columns(self) -> None:
        columns = self.query_one("#stats-columns", OptionList)
        columns.set_options(Option(_named(column), id=str(number)) for number, column in enumerate(self.view.columns))
        if self.view.columns:
            self._column = min(self._column, len(self.view.columns) - 1)
            columns.highlighted = self._column
            self.call_after_refresh(self._draw_column, self._column)
        else:
            self.query_one("#stats-figures", Static).update("")
            self.query_one("#stats-bars", OptionList).clear_options()

    def _draw_column(self, number: int) -> None:
        if number >= len(self.view.columns):
            return
        parts: list[Content | tuple[str, str] | str] = []
        for name, told in self.view.figures(number):
            parts += [(name.ljust(12), "$text-muted"), one_line(told, 300), "\n"]
        self.query_one("#stats-figures", Static).update(Content.assemble(*parts))
        bars = self.query_one("#stats-bars", OptionList)
        room = bars.size.width or self.size.width - 40
        label = min(LABEL, room // 3)
        width = max(10, room - label - 14)
        self._wheres = {}
        options: list[Option] = []
        for heading, found in self.view.bars(number):
            options.append(Option(Content.styled(heading, "bold $secondary"), disabled=True))
            options += self._options(found, label, width)
        bars.set_options(options)
        bars.highlighted = next((at for at, option in enumerate(options) if not option.disabled), None)

    def _options(self, found: list[Bar], label: int, width: int) -> list[Option]:
        most = max((bar.count for bar in found), default=0)
        options = []
        for bar in found:
            content = Content.assemble(
                one_line(bar.label, label - 1).ljust(label), (drawn(bar.count, most, width).ljust(width), "$primary"), f" {bar.count:,}"
            )
            key = f"bar-{len(self._wheres)}" if bar.where else None
            if key:
                self._wheres[key] = bar.where
            options.append(Option(content, id=key, disabled=not bar.where or not bar.count))
        return options

    # -- the person --------------------------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_list.id == "stats-columns" and event.option.id:
            self._column = int(event.option.id)
            self._draw_column(self._column)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_list.id == "stats-columns":
            self.action_bars()
        elif where := self._wheres.get(event.option.id or ""):
            self.run_worker(self._open(where), group="open", exclusive=True, exit_on_error=False)

    async def _open(self, where: str) -> None:
        """The table of the split that is shown; of all together, that of the first that has such rows."""
        engine, view, app = self._bridge.engine, self.view, self.app
        if engine is None:
            return
        split = view.split
        if not split and len(view.data["splits"]) > 1:
            try:
                found = await self._bridge.call(lambda: engine.matching(view.dataset, where))
            except BitternError as error:
                self.notify(f"{error.message} {error.hint}", title=error.title, severity="error", markup=False)
                return
            split = next(iter(found), "")
            if len(found) > 1:
                also = ", ".join(f"{rows:,} in {name}" for name, rows in found.items() if name != split)
                app.notify(f"{found[split]:,} of them are in {split}; {also}.", markup=False)
        self.dismiss()
        app.post_message(OpenView(view.dataset, split, where))

    async def action_split(self) -> None:
        """The next split, or all together."""
        if not self.view.data or len(self.view.data["splits"]) < 2:
            return
        self.view.split = self.view.next_split(list(self.view.data["splits"]))
        self.view.data = {}
        self._draw_columns()
        self._draw_head()
        await self._load()

    def action_columns(self) -> None:
        self.query_one("#stats-columns").focus()

    def action_bars(self) -> None:
        self.query_one("#stats-bars").focus()

    async def action_again(self) -> None:
        if not self.view.job:
            await self._load("stats --again")

    def action_leave(self) -> None:
        if self.query_one("#stats-bars").has_focus:
            self.action_columns()
        else:
            self.dismiss()
