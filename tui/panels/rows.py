"""The rows of a dataset in a table, filtered and ordered as a person likes; one row in full; its columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.errors import BitternError
from tui.state.catalog import size
from tui.state.look import Look
from tui.text import cells, one_line
from tui.widgets.detail import RowView
from tui.widgets.looking import Looking
from tui.widgets.marking import Marking
from tui.widgets.measured import Measured
from tui.widgets.prompt import Prompt
from tui.widgets.rows import WINDOW, RowsTable
from tui.widgets.schema import Schema
from tui.widgets.taking import Taking

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widgets import DataTable

    from tui.bridge import Bridge
    from tui.state.catalog import CatalogState, DatasetView

MEDIA = re.compile("image|audio|binary")
TABLE_ONLY = ("order", "hide", "show_all", "edit")


class DatasetDetail(Looking, Taking, Marking, Measured, Vertical):
    """Three pictures of a dataset, one seen at a time: the table, a row, the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next(1)", "Next row"),
        Binding("p", "next(-1)", "Previous row"),
        # Those of the parts, which are no widgets of their own.
        *Looking.BINDINGS,
        *Taking.BINDINGS,
        *Marking.BINDINGS,
    ]

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(id="dataset-detail", classes="detail")
        self._bridge = bridge
        self.dataset: DatasetView | None = None
        self.look: Look | None = None
        self._view: Any = None
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self._start = 0
        self._at = 0
        self._cited = ("", "")
        self._token: Any = None
        self._seen = ""

    def compose(self) -> ComposeResult:
        yield Static(id="dataset-facts", markup=False, classes="facts")
        yield Static(id="labels", markup=False)
        yield Prompt()
        yield RowView()
        yield Schema()

    def on_mount(self) -> None:
        for widget in (self.query_one(RowView), self.query_one(Schema), self.query_one("#labels")):
            widget.display = False

    # -- what is looked at -------------------------------------------------------------------------------------

    @property
    def in_row(self) -> bool:
        """Whether one row is shown in full."""
        return self._seen == "row"

    @property
    def number(self) -> int:
        """The number in its split of the row that the person is at; -1 where there is none."""
        if self.in_row:
            place = self._at - self._start
            return self._rows[place][0] if 0 <= place < len(self._rows) else -1
        return self.table.number if self.table else -1

    @property
    def table(self) -> RowsTable | None:
        return next(iter(self.query(RowsTable)), None)

    def _made_table(self) -> RowsTable:
        """The table, made on first use: the first picture of the screen needs none."""
        if (table := self.table) is None:
            table = RowsTable()
            self.mount(table, after=self.query_one(Prompt))
        return table

    def open(self, dataset: DatasetView) -> None:
        """Show the table of a dataset, from its first row or as it was left."""
        new = self._begin(dataset, next(iter(dataset.splits), ""))
        self.show_table()
        if new and self.look:
            self.start(self.look)

    def open_view(self, dataset: DatasetView, split: str, where: str) -> None:
        """Show the rows of a dataset that fit a condition."""
        split = split or next(iter(dataset.splits), "")
        self._begin(dataset, split)
        self.show_table()
        self.start(Look(dataset.name, split, where))

    def open_row(self, dataset: DatasetView, split: str, index: int, passage: str = "", answer: str = "") -> None:
        """Show one row in full, with what an answer rests on marked."""
        self._begin(dataset, split)
        self._cited = (passage, answer)
        self._show("row")
        self.screen.set_focus(self.query_one(RowView))
        look = self.look if self.look and self.look.plain and self.look.split == split else Look(dataset.name, split)
        self.start(look, index, then_row=True)

    def _begin(self, dataset: DatasetView, split: str) -> bool:
        """Turn to a dataset; false when it is the one that is looked at already."""
        before, self._cited = self.dataset, ("", "")
        self.dataset = dataset
        if before and self.look and self._view and (before.name, before.fingerprint) == (dataset.name, dataset.fingerprint):
            return False
        self.stop()
        self.end_marking()
        self.query_one(Prompt).close()
        self.look, self._view, self._rows = Look(dataset.name, split), None, []
        if self.table:
            self.table.clear(columns=True)
        return True

    def _keep(self, rows: list[tuple[int, dict[str, Any]]], start: int, at: int) -> None:
        self._rows, self._start, self._at = rows, start, at
        self._draw_table(at)
        self._draw_facts()

    def _draw_table(self, at: int) -> None:
        look, dataset = self.look, self.dataset
        if look is None or dataset is None or self._view is None:
            return
        table = self._made_table()
        table.display = self._seen in ("", "table")
        names = [name for name in (self._rows[0][1] if self._rows else dataset.features) if name not in look.hidden]
        rows, numbers = [row for _, row in self._rows], [number for number, _ in self._rows]
        room = self.size.width or self.app.size.width // 2
        table.show(rows, self._start, self._view.rows, at, room, names=names, numbers=numbers, sort=look.sort)

    def catalog_changed(self, catalog: CatalogState) -> None:
        """Draw the same place again where the dataset has a new version; nothing where it is gone."""
        before = self.dataset
        if before is None or self.look is None:
            return
        now = catalog.find_dataset(before.name)
        if now is None:
            self.stop()
            self.end_marking()
            self.dataset = self.look = self._view = None
            self._rows = []
            self.query_one("#dataset-facts", Static).update(
                Content.styled(f"{one_line(before.name, 60)} was forgotten. Esc goes back.", "$text-muted")
            )
            for shown in (self.query_one(RowView), self.query_one(Schema), *self.query(RowsTable)):
                shown.display = False
        elif now.fingerprint != before.fingerprint:
            self.dataset = now
            self.run_worker(self._see_again(self.look.fitted(now.splits, now.features)), group="look", exclusive=True, exit_on_error=False)
        else:
            self.dataset = now
            self._draw_facts()

    # -- drawing -----------------------------------------------------------------------------------------------

    def show_table(self) -> None:
        self._made_table()
        self._show("table")
        if self.table:
            self.screen.set_focus(self.table)

    def _show(self, part: str) -> None:
        self._seen = part
        self.query_one(RowView).display = part == "row"
        self.query_one(Schema).display = part == "schema"
        if self.table:
            self.table.display = part == "table"
        self._draw_facts()
        self.refresh_bindings()

    def _draw_facts(self) -> None:
        item, look = self.dataset, self.look
        if item is None:
            return
        splits: list[Content | tuple[str, str]] = []
        for name, rows in item.splits.items():
            splits.append(Content.styled(f" {one_line(name, 20)} {rows:,} ", "reverse" if look and name == look.split else "$text-muted"))
        roles = ", ".join(f"{role} = {column}" for role, column in item.columns.items())
        width = self.size.width or 90
        told = one_line(f"{item.shape}: {roles}" if roles else item.shape, width)
        source = one_line(f"{size(item.bytes)}, from {item.source}", max(0, width - cells(told) - 2))
        self.query_one("#dataset-facts", Static).update(Content.assemble(*splits, "\n", told, "  ", (source, "$text-muted")))
        parent: Any = self.parent
        if parent is None or parent.current != self.id:
            return
        where = f" {look.split}/{self.number}" if self.in_row and look else ""
        parent.border_title = Content(one_line(f"{item.name}{where}", 50))
        room = max(20, self.size.width - 6)
        state = look.told(self._view.rows, item.splits.get(look.split, 0), room) if look and self._view else ""
        if self.in_row and self.length:
            state = f"{self.length} · {state}" if state else self.length
        parent.border_subtitle = Content("looking… Esc stops it" if self._token else one_line(state, room))

    async def _show_row(self, at: int, *, focus: bool = True) -> None:
        place = at - self._start
        if not 0 <= place < len(self._rows) or self.dataset is None or self.look is None:
            return
        self._at = at
        number, row = self._rows[place]
        self._show("row")
        view = self.query_one(RowView)
        if focus:
            self.screen.set_focus(view)
        media = [name for name, kind in self.dataset.features.items() if MEDIA.search(kind) and row.get(name) is not None]
        await view.show(row, *self._cited, media)
        if self.table:
            self.table.go(at)
        self.count_row(row)
        self._draw_facts()
        if media:
            self.run_worker(self._bring_media(self.look, number), group="media", exclusive=True, exit_on_error=False)

    async def _bring_media(self, look: Look, number: int) -> None:
        engine = self._bridge.engine
        if engine is None:
            return
        try:
            shown = await self._bridge.call(lambda: engine.media(look.dataset, look.split, number))
        except BitternError as error:
            self._failed(error)
            return
        if self.in_row and self.number == number:
            self.query_one(RowView).put_media(shown)

    # -- moving ------------------------------------------------------------------------------------------------

    def on_rows_table_page_wanted(self, event: RowsTable.PageWanted) -> None:
        event.stop()
        self.run_worker(self._page(event.start, event.cursor), group="page", exclusive=True, exit_on_error=False)

    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self._cited = ("", "")
        await self._show_row(self._start + event.cursor_row)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        event.stop()
        if self.look and self.table and (name := self.table.name_at(event.column_index)):
            self.start(self.look.ordered_by(name), max(0, self.number))

    def on_resize(self) -> None:
        if self.table and self._rows and not self.in_row:
            self._draw_table(self.table.at)

    async def action_next(self, by: int) -> None:
        if not self.in_row or self._view is None:
            return
        at = min(max(0, self._at + by), max(0, self._view.rows - 1))
        self._cited = ("", "")
        if self._start <= at < self._start + len(self._rows) or await self._page(at // WINDOW * WINDOW, at):
            await self._show_row(at)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next":
            return self.in_row
        if action in TABLE_ONLY:
            return self._seen == "table"
        return self.check_marking(action) and super().check_action(action, parameters)

    def back(self) -> bool:
        """One step back inside; returns false when there is none."""
        if self.stop():
            return True
        prompt = self.query_one(Prompt)
        if prompt.display:
            prompt.close()
            if self.in_row:
                self.query_one(RowView).focus()
                return True
        elif self._seen == "table":
            return False
        self.show_table()
        return True
