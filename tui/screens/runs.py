"""Evaluation runs: the list, and of the marked ones the verdict, the flips, the slices and the worst rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static, TabbedContent, TabPane

from engine.errors import BitternError
from tui.messages import FillBox, OpenRow, OpenView, RunLine
from tui.state.verdict import MOST, VerdictView, aligned
from tui.text import clean, one_line
from tui.widgets.differences import told_apart
from tui.widgets.keyline import KeyLine
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.message import Message

    from tui.bridge import Bridge

TABS = {"verdict": "Verdict", "flips": "Flips", "slices": "Slices", "worst": "Worst rows"}
EMPTY = {
    "verdict": "Mark two runs on the same rows with Space.", "flips": "No row flipped.",
    "slices": "Press b to say by what: label, length, cluster or a column.", "worst": "There is no such row.",
}  # fmt: skip


class RunsScreen(Screen[None]):
    """``name``: numbers of runs (``3,4``, or ``3,4+label``), a dataset whose runs are listed, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("space", "mark", "Mark"),
        Binding("b", "by", "Slices by"),
        Binding("n", "nearest", "Nearest training rows"),
        Binding("e", "report", "Report"),
        *(Binding(str(number), f"tab('{name}')", title, show=False) for number, (name, title) in enumerate(TABS.items(), start=1)),
        Binding("tab", "app.focus_next", "Switch", show=False),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self.view = VerdictView.named(name)

    def compose(self) -> ComposeResult:
        yield Static(id="runs-title", markup=False)
        with Horizontal(id="runs-body"):
            yield NamedList(id="runs-list", empty="There are no runs yet: evaluate MODEL --on DATASET", waits=True)
            with Vertical(id="runs-side"):
                with TabbedContent(id="runs-tabs"):
                    for number, (name, title) in enumerate(TABS.items(), start=1):
                        with TabPane(f"{number} {title}", id=f"tab-{name}"):
                            yield NamedList(id=f"list-{name}", empty=EMPTY[name], waits=True)
                with VerticalScroll(id="runs-row", can_focus=False):
                    yield Static(id="runs-row-text", markup=False)
                yield Input(id="runs-by", placeholder="label, length, cluster, or a column; Enter looks", compact=True)
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#runs-by").display = False
        self._list("runs-list").focus()
        self._tell("Reading the predictions …")
        self.run_worker(self._load(), exit_on_error=False)

    def _list(self, name: str) -> NamedList:
        return self.query_one(f"#{name}", NamedList)

    async def _run(self, *words: str) -> dict[str, Any]:
        """The answer of a Command. Raises ``BitternError``."""
        engine: Any = self._bridge.engine
        result = await self._bridge.call(lambda: engine.run(engine.parse_words(list(words))))
        found: dict[str, Any] = result.as_dict()
        return found

    # -- loading and drawing -----------------------------------------------------------------------------------

    async def _load(self) -> None:
        try:
            found = await self._run("runs", *([self.view.only] if self.view.only else []))
        except BitternError as error:
            self._tell(error)
            return
        self.view.runs = found["data"]["runs"]
        self._draw_runs()
        if self.view.marked:
            # Not before the list has its place: a narrow screen shows three of its lines.
            self.call_after_refresh(self._list("runs-list").choose, self.view.marked[-1])
        await self._look()
        if self.view.by:
            self.query_one("#runs-tabs", TabbedContent).active = "tab-slices"

    def _draw_runs(self) -> None:
        self._list("runs-list").show([(item["run"], self._entry(item)) for item in self.view.runs])

    def _entry(self, item: dict[str, Any]) -> Content:
        where = f"{item['dataset']}/{item['split']}"
        return Content.assemble(
            (f"{self.view.letter(item['run'])} ", "bold $accent"), (f"{item['run']:>3}  ", "$text-muted"),
            (one_line(item["model"], 20), "bold"), f"  {one_line(where, 20)}", (f"  {item['rows']:,}", "$text-muted"),
        )  # fmt: skip

    def _again(self) -> None:
        self.run_worker(self._look(), group="verdict", exclusive=True, exit_on_error=False)

    async def _look(self) -> None:
        """Find out about the marked runs, or about the one under the cursor."""
        view, run = self.view, self.view.shown(self._list("runs-list").chosen)
        if not run:
            self._tell("There are no runs yet: evaluate MODEL --on DATASET makes one.")
            return
        view.compared = view.sliced = {}
        try:
            if len(view.marked) > 1:
                view.compared = await self._run("compare", *view.marked)
                if view.by:
                    view.sliced = await self._run("compare", *view.marked, "--by", view.by)
            view.worst = await self._run("worst", run, "--count", str(100))
        except BitternError as error:
            self._tell(error)
        else:
            self._tell((view.sliced or view.compared or view.worst)["summary"])
        self._draw(run)

    def _draw(self, run: str) -> None:
        view = self.view
        verdict = aligned(view.compared.get("table")) if view.compared else view.figures(run)
        self._list("list-verdict").show(_lines(verdict))
        self._list("list-slices").show(_lines(aligned(view.sliced.get("table")), marked=True))
        self._list("list-flips").show([(row["address"], _flip(row)) for row in view.flips[:MOST]])
        self._list("list-worst").show([(row["address"], _worst(row)) for row in view.worst.get("data", {}).get("rows", [])])
        self.query_one("#runs-row").display = False

    def _tell(self, what: str | BitternError) -> None:
        text = what if isinstance(what, str) else f"{what.message} {what.hint}"
        style = "" if isinstance(what, str) else "$error"
        self.query_one("#runs-title", Static).update(Content.styled(clean(text), style))

    def _row(self, address: str) -> None:
        """The row under the cursor in full: the right answer, and what was said."""
        flip = next((row for row in self.view.flips if row["address"] == address), None)
        row = flip or next((row for row in self.view.worst["data"]["rows"] if row["address"] == address), {})
        said = [("A ", row["a"]), ("B ", row["b"])] if flip else [("said ", row["prediction"])] if "prediction" in row else []
        parts: list[Content | str | tuple[str, str]] = [clean(row.get("prompt", "")), ("\nright ", "$success"), clean(row.get("reference", ""))]
        for name, text in said:
            parts += [(f"\n{name}", "$warning"), told_apart(row["reference"], text)[1]]
        box = self.query_one("#runs-row", VerticalScroll)
        box.display = True
        box.border_title = one_line(address, 60)
        self.query_one("#runs-row-text", Static).update(Content.assemble(*parts))

    # -- keys --------------------------------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        kind, name = event.option_list.id, event.option.id or ""
        if kind == "runs-list" and not self.view.marked and self.view.runs:
            self._again()
        elif kind in ("list-flips", "list-worst") and event.option_list.has_focus and name:
            self._row(name)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        kind, name = event.option_list.id, event.option.id or ""
        if kind == "runs-list":
            self._list(self._tab()).focus()
        elif kind in ("list-flips", "list-worst") and not self._other_rows():
            self._leave(OpenRow(name))
        elif kind == "list-slices" and name.isdigit() and int(name) and not self._other_rows():
            found, first = self.view.sliced["data"]["slices"]["slices"][int(name) - 1], self.view.compared["data"]["a"]
            self._leave(OpenView(first["dataset"], first["split"], found["where"]))

    def _tab(self) -> str:
        return "list-" + self.query_one("#runs-tabs", TabbedContent).active.removeprefix("tab-")

    def action_tab(self, name: str) -> None:
        self.query_one("#runs-tabs", TabbedContent).active = f"tab-{name}"
        self._list(f"list-{name}").focus()

    def action_mark(self) -> None:
        if (run := self._list("runs-list").chosen) and self._list("runs-list").has_focus:
            self.view.toggle(run)
            self._draw_runs()
            self._again()

    def action_by(self) -> None:
        if len(self.view.marked) < 2:
            self.notify(EMPTY["verdict"], markup=False)
            return
        box = self.query_one("#runs-by", Input)
        box.display = True
        box.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.view.by = event.value.strip()
        event.input.display = False
        self.action_tab("slices")
        self._again()

    def action_nearest(self) -> None:
        tab = self._tab()
        if tab in ("list-flips", "list-worst") and (address := self._list(tab).chosen):
            run = self.view.shown(self._list("runs-list").chosen)
            self._leave(RunLine(f"nearest {run} {address}"))
        else:
            self.notify("Go to a row among the flips or the worst rows first.", markup=False)

    def action_report(self) -> None:
        if run := self.view.shown(self._list("runs-list").chosen):
            self._leave(FillBox(f"/report run:{run} --to run-{run}.html"))

    def action_leave(self) -> None:
        """One step back: the box, the tab, the screen."""
        if self.query_one("#runs-by").display:
            self.query_one("#runs-by").display = False
            self._list("runs-list").focus()
        else:
            self.app.pop_screen()

    def _other_rows(self) -> bool:
        """Whether the addresses may mean other rows by now; it is said."""
        if self.view.stale:
            self.notify("The data changed after this run, so these may be other rows now.", severity="warning", markup=False)
        return self.view.stale

    def _leave(self, message: Message) -> None:
        """Back to the main screen, which does what is asked."""
        self.app.pop_screen()
        self.app.post_message(message)


def _lines(lines: Sequence[str], *, marked: bool = False) -> list[tuple[str, Content]]:
    """Lines of a table as entries, named by their number; the first is the heading."""
    found = []
    for number, line in enumerate(lines):
        style = "$text-muted" if not number else "$success" if marked and "▲" in line else "$error" if marked and "▼" in line else ""
        found.append((str(number), Content.styled(clean(line), style)))
    return found


def _flip(row: dict[str, Any]) -> Content:
    mark = ("✓ became right  ", "$success") if row["b_correct"] else ("✗ became wrong  ", "$error")
    return Content.assemble(
        mark, (one_line(row["address"].partition("/")[2], 24), "$text-muted"), f"  {one_line(row['a'], 24)} → {one_line(row['b'], 24)}",
        (f"  {one_line(row['prompt'], 120)}", "$text-muted"),
    )  # fmt: skip


def _worst(row: dict[str, Any]) -> Content:
    said = f"{one_line(row['reference'], 30)} ← {one_line(row.get('prediction', ''), 30)}"
    return Content.assemble(
        (f"{row['why']:<7}{row['score']:>8.3g}  ", "$warning"), (one_line(row["address"].partition("/")[2], 24), "$text-muted"), f"  {said}",
        (f"  {one_line(row['prompt'], 120)}", "$text-muted"),
    )  # fmt: skip
