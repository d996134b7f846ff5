"""Datasets: the list, and the rows of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from engine.errors import BitternError
from tui.messages import AskSure, AskTrain, FillBox, RunLine, ShowDetail
from tui.state.catalog import count, size
from tui.text import one_line
from tui.widgets.lists import NamedList
from tui.widgets.rows import WINDOW, RowsTable, whole_row

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widgets import DataTable

    from tui.bridge import Bridge
    from tui.state.catalog import CatalogState, DatasetView


class DatasetsPanel(NamedList):
    """The datasets of the workspace; the one in use has a mark."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Rows"),
        Binding("a", "add", "Add"),
        Binding("u", "use", "Use"),
        Binding("i", "index", "Index"),
        Binding("t", "train", "Train"),
        Binding("delete", "forget", "Forget"),
    ]

    def __init__(self) -> None:
        super().__init__(id="datasets", empty="No data yet. Press a, or type /add FILE: CSV, JSON, Parquet or text.")
        self.border_title = "Datasets"

    def draw(self, catalog: CatalogState) -> None:
        self.border_title = f"Datasets {len(catalog.datasets)}" if catalog.datasets else "Datasets"
        self.show([(item.name, self._entry(item, item.name == catalog.dataset)) for item in catalog.datasets])

    def _entry(self, item: DatasetView, used: bool) -> Content:
        mark = ("● ", "$success") if used else ("  ", "")
        return Content.assemble(mark, (one_line(item.name, 18), "bold" if used else ""), (f"  {count(item.rows)} {item.shape}", "$text-muted"))

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(ShowDetail("dataset", event.option.id))

    def action_add(self) -> None:
        self.post_message(FillBox("/add "))

    def action_use(self) -> None:
        if self.chosen:
            self.post_message(RunLine(f"use {self.chosen}", quiet=True))

    def action_index(self) -> None:
        if self.chosen:
            self.post_message(RunLine(f"index {self.chosen}", quiet=True))

    def action_train(self) -> None:
        self.post_message(AskTrain(dataset=self.chosen))

    def action_forget(self) -> None:
        if self.chosen:
            self.post_message(
                AskSure(f"Forget the dataset {self.chosen}, its rows and its index? Its source stays.", f"forget {self.chosen} --yes", "Forget")
            )


class DatasetDetail(Vertical):
    """The rows of a dataset in a table, and one row in full."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "split", "Next split"),
        Binding("g", "go", "Go to row"),
        Binding("n", "next(1)", "Next row"),
        Binding("p", "next(-1)", "Previous row"),
    ]

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(id="dataset-detail", classes="detail")
        self._bridge = bridge
        self._dataset: DatasetView | None = None
        self._split = ""
        self._index = 0
        self._rows: list[dict[str, Any]] = []
        self._start = 0
        self._cited = ("", "")

    def compose(self) -> ComposeResult:
        yield Static(id="dataset-facts", markup=False, classes="facts")
        with VerticalScroll(id="row"):
            yield Static(id="row-text", markup=False)
        yield Input(id="go-to", placeholder="Row number", type="integer", compact=True)

    def on_mount(self) -> None:
        self.query_one("#row").display = False
        self.query_one("#go-to").display = False

    @property
    def in_row(self) -> bool:
        """Whether one row is shown in full."""
        return bool(self.query_one("#row").display)

    async def open(self, dataset: DatasetView) -> None:
        """Show the table of a dataset, from its first row or where it was left."""
        self._cited = ("", "")
        if self._dataset is None or self._dataset.name != dataset.name or self._split not in dataset.splits:
            self._dataset, self._split = dataset, next(iter(dataset.splits), "")
            await self._load(0, 0)
        self._dataset = dataset
        self.show_table()

    async def open_row(self, dataset: DatasetView, split: str, index: int, passage: str = "", answer: str = "") -> None:
        """Show one row in full, with what an answer rests on marked."""
        self._dataset, self._split = dataset, split
        self._cited = (passage, answer)
        await self._load(index // WINDOW * WINDOW, index)
        self._show_row(index)

    def show_table(self) -> None:
        self.query_one("#row").display = False
        if tables := self.query(RowsTable):
            tables.first().display = True
            tables.first().focus()
        self._draw_facts()

    async def _load(self, start: int, at: int) -> None:
        dataset, split = self._dataset, self._split
        if dataset is None or self._bridge.engine is None:
            return
        engine = self._bridge.engine
        try:
            rows = await self._bridge.call(lambda: engine.window(dataset.name, split, start, WINDOW))
        except BitternError as error:
            self.notify(error.message, title=error.title, severity="error", markup=False)
            return
        if (self._dataset, self._split) != (dataset, split):
            return  # the person has gone elsewhere meanwhile
        self._rows, self._start = rows, start
        table = self.query(RowsTable).first() if self.query(RowsTable) else None
        if table is None:
            # Made on first use: the first picture of the screen needs no table.
            table = RowsTable()
            await self.mount(table, after="#dataset-facts")
        table.show(rows, start, dataset.splits.get(split, 0), at, self.size.width or self.app.size.width // 2)
        self._draw_facts()

    def _draw_facts(self) -> None:
        if self._dataset is None:
            return
        item = self._dataset
        splits: list[Content | tuple[str, str]] = []
        for name, rows in item.splits.items():
            splits.append(Content.styled(f" {one_line(name, 20)} {rows:,} ", "reverse" if name == self._split else "$text-muted"))
        roles = ", ".join(f"{role} = {column}" for role, column in item.columns.items())
        where = f" {self._split}/{self._index}" if self.in_row else ""
        self.query_one("#dataset-facts", Static).update(
            Content.assemble(
                *splits, "\n", (one_line(f"{item.shape}: {roles}" if roles else item.shape, 90), ""),
                "  ", (one_line(f"{size(item.bytes)}, from {item.source}", 90), "$text-muted"),
            )
        )  # fmt: skip
        parent = self.parent
        if parent is not None:
            parent.border_title = one_line(f"{item.name}{where}", 50)  # type: ignore[attr-defined]

    def _show_row(self, index: int) -> None:
        if not 0 <= index - self._start < len(self._rows):
            return
        self._index = index
        self.query_one("#row-text", Static).update(whole_row(self._rows[index - self._start], *self._cited))
        view = self.query_one("#row", VerticalScroll)
        view.display = True
        view.scroll_home(animate=False)
        if tables := self.query(RowsTable):
            tables.first().display = False
        view.focus()
        self._draw_facts()

    async def on_rows_table_page_wanted(self, event: RowsTable.PageWanted) -> None:
        event.stop()
        await self._load(event.start, event.cursor)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self._cited = ("", "")
        self._show_row(self._start + event.cursor_row)

    async def action_next(self, by: int) -> None:
        if self._dataset is None or not self.in_row:
            return
        index = min(max(0, self._index + by), max(0, self._dataset.splits.get(self._split, 0) - 1))
        self._cited = ("", "")
        if not 0 <= index - self._start < len(self._rows):
            await self._load(index // WINDOW * WINDOW, index)
        self._show_row(index)

    async def action_split(self) -> None:
        if self._dataset is None or len(self._dataset.splits) < 2:
            return
        names = list(self._dataset.splits)
        self._split = names[(names.index(self._split) + 1) % len(names)]
        await self._load(0, 0)
        self.show_table()

    def action_go(self) -> None:
        box = self.query_one("#go-to", Input)
        box.display = True
        box.value = ""
        box.focus()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = False
        if event.value.isdigit() and self._dataset is not None:
            index = min(int(event.value), max(0, self._dataset.splits.get(self._split, 0) - 1))
            await self._load(index // WINDOW * WINDOW, index)
        self.show_table()

    def back(self) -> bool:
        """One step back inside; returns false when there is none."""
        box = self.query_one("#go-to", Input)
        if box.display or self.in_row:
            box.display = False
            self.show_table()
            return True
        return False
