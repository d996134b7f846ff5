"""What a person takes from a table: fewer columns, copies, a file, statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from engine.errors import BitternError
from tui.messages import FillBox, RunLine, RunVerb
from tui.text import one_line
from tui.widgets.detail_part import DetailPart
from tui.widgets.rows import as_json, cell
from tui.widgets.schema import Schema

if TYPE_CHECKING:
    from tui.state.catalog import DatasetView


class Taking(DetailPart):
    """The part of a dataset's detail that shows less of it, or hands it on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "columns", "Columns"),
        Binding("h", "hide", "Hide column", show=False),
        Binding("H", "show_all", "Show all columns", show=False),
        Binding("c", "copy", "Copy", show=False),
        Binding("C", "copy_row", "Copy row", show=False),
        Binding("a", "attach", "Attach to chat", show=False),
        Binding("x", "export", "Export"),
        Binding("i", "run_on('stats')", "Statistics"),
        Binding("q", "sql", "SQL"),
        Binding("exclamation_mark", "run_on('check')", "Check", key_display="!"),
        Binding("m", "run_on('atlas')", "Map"),
    ]
    _nulls: tuple[str, dict[str, int]] = ("", {})
    """The version whose empty values were counted, and how many each column has."""

    def action_hide(self) -> None:
        table, look = self.table, self.look
        if look and table and table.column and len(table.names) > 1:
            at, names = table.at, table.names
            place = names.index(table.column)
            self.look = look.without(table.column)
            self._draw_table(at)
            table.move_to(names[place + 1] if place + 1 < len(names) else names[place - 1])
            self._draw_facts()

    def action_show_all(self) -> None:
        if self.look and self.table and self.look.hidden:
            self.look = replace(self.look, hidden=frozenset())
            self._draw_table(self.table.at)
            self._draw_facts()

    def action_columns(self) -> None:
        if self.dataset and self.look:
            if self._seen == "schema":
                self.show_table()
                return
            self._draw_schema()
            self._show("schema")
            self.query_one(Schema).focus()

    def _draw_schema(self) -> None:
        if self.dataset and self.look:
            fingerprint, nulls = self._nulls
            known = fingerprint == self.dataset.fingerprint
            self.query_one(Schema).draw(self.dataset, self.look.hidden, nulls if known else None)
            if not known:
                self.run_worker(self._count_nulls(self.dataset), group="nulls", exclusive=True, exit_on_error=False)

    async def _count_nulls(self, dataset: DatasetView) -> None:
        """Bring how many values of each column are empty, and draw the columns once more."""
        engine = self._bridge.engine
        if engine is None:
            return
        try:
            found = await self._bridge.call(lambda: engine.nulls(dataset.name))
        except BitternError as error:
            self.notify(error.message, title=error.title, severity="error", markup=False)
            found = {}
        self._nulls = (dataset.fingerprint, found)
        if self._seen == "schema" and self.dataset and self.dataset.fingerprint == dataset.fingerprint:
            self._draw_schema()

    def on_schema_toggled(self, event: Schema.Toggled) -> None:
        event.stop()
        if self.look and self.dataset:
            hidden = self.look.hidden ^ {event.column}
            if len(hidden) < len(self.dataset.features):
                self.look = replace(self.look, hidden=hidden)
                self._draw_table(self.table.at if self.table else 0)
                self._draw_schema()
                self._draw_facts()

    def action_copy(self) -> None:
        """The cell under the cursor; where one row is shown, all of it."""
        if self.in_row:
            self.action_copy_row()
        elif self.table and (row := self._row()) and self.table.column in row:
            value = row[self.table.column]
            self._copy(value if isinstance(value, str) else as_json(value), one_line(cell(value), 40))

    def action_copy_row(self) -> None:
        if row := self._row():
            self._copy(as_json(row), f"row {self.number}")

    def _copy(self, text: str, told: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied: {told}", markup=False, timeout=3)

    def _row(self) -> dict[str, Any] | None:
        """The values of the row that the person is at."""
        number = self.number
        return next((row for index, row in self._rows if index == number), None)

    def action_attach(self) -> None:
        """Let the row go along with what is said next in the chat."""
        if self.look and self._row():
            self.post_message(RunVerb("attach", {"what": f"{self.look.dataset}/{self.look.split}/{self.number}"}))

    def action_export(self) -> None:
        if self.look:
            where, quote = self.look.where, '"' if '"' not in self.look.where else "'"
            if where and quote in where:
                self.notify("This filter has both kinds of quotes: write it into the line yourself.", severity="warning", markup=False)
                where = ""
            told = [f"/export {self.look.dataset}/{self.look.split}"]
            told += [f"--where {quote}{where}{quote}"] if where else []
            told += [f"--sort {_word(f'-{column}' if down else column)}" for column, down in self.look.sort]
            if self.look.hidden and self.dataset:
                told += [f"--columns {_word(','.join(name for name in self.dataset.features if name not in self.look.hidden))}"]
            self.post_message(FillBox(" ".join(told) + " "))

    def action_run_on(self, verb: str) -> None:
        """Run a Command on this dataset; its screen opens when it is done."""
        if self.dataset:
            self.post_message(RunLine(f"{verb} {self.dataset.name}"))

    def action_sql(self) -> None:
        self.post_message(RunLine("sql"))


def _word(text: str) -> str:
    """A word of a line, in quotes where it has spaces."""
    return f'"{text}"' if " " in text else text
