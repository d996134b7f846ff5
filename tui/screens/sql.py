"""SQL over the datasets: an editor, the answer in windows, and the queries of before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import BitternError, Stopped
from tui.messages import RunLine
from tui.state.sql import History, Vocabulary, plain_name
from tui.text import clean, one_line
from tui.widgets.chatbox import Completions
from tui.widgets.keyline import KeyLine
from tui.widgets.rows import WINDOW, RowsTable
from tui.widgets.sql_editor import SqlEditor

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.bridge import Bridge

HISTORY, DRAFT = "sql-history", "sql-draft"
"""What the workspace remembers: the queries that were run, and what stood in the editor."""


class SqlScreen(ModalScreen[None]):
    """``name`` is a query to begin with, or empty."""

    CSS = """
    SqlScreen { align: left top; background: $background; }
    #sql-body { height: 1fr; }
    #sql-tables { width: 34; height: 1fr; border: round $border-blurred; background: $background; scrollbar-size-vertical: 1; }
    SqlScreen.-narrow #sql-tables { display: none; }
    #sql-editor { height: 9; border: round $border-blurred; background: $background; padding: 0 1; border-title-color: $text-muted; }
    #sql-tables:focus, #sql-editor:focus { border: round $primary; }
    #sql-told { height: auto; max-height: 5; padding: 0 1; }
    SqlScreen #completions { dock: none; layer: default; margin: 0 1; max-height: 7; }
    #sql-keep { margin: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f8,ctrl+enter,ctrl+j", "run", "Run", priority=True),
        Binding("ctrl+s", "keep", "Keep as a dataset"),
        Binding("ctrl+up", "history(-1)", "Earlier", priority=True),
        Binding("ctrl+down", "history(1)", "Later", priority=True),
        Binding("escape", "leave", "Stop/Back", priority=True),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self._first = name
        self._history = History()
        self._query: Any = None
        self._answer: Any = None
        self._ran = ""

    def compose(self) -> ComposeResult:
        completions = Completions()
        with Horizontal(id="sql-body"):
            yield OptionList(id="sql-tables", markup=False, compact=True)
            with Vertical():
                yield SqlEditor(completions)
                yield completions
                yield Static(id="sql-told", markup=False)
                yield Input(id="sql-keep", placeholder="A name for the dataset; Enter keeps the whole answer", compact=True)
        yield KeyLine()

    async def on_mount(self) -> None:
        editor = self.query_one(SqlEditor)
        editor.border_title = "SQL"
        self.query_one("#sql-tables").border_title = "Tables"
        self.query_one("#sql-keep").display = False
        editor.put(self._first)
        editor.focus()
        self._tell("ctrl+r runs it. Only datasets can be read, and nothing is changed.")
        engine = self._bridge.engine
        if engine is None:
            return
        workspace = engine.workspace
        records, kept, draft = await self._bridge.call(lambda: (engine.datasets(), workspace.recall(HISTORY, "[]"), workspace.recall(DRAFT)))
        if not editor.text:
            editor.put(draft)
        for query in json.loads(kept):
            self._history.add(query)
        editor.vocabulary = Vocabulary({item.name: item.features for item in records}, {item.name: list(item.splits) for item in records})
        self._draw_tables(editor.vocabulary)

    def _draw_tables(self, words: Vocabulary) -> None:
        options = []
        for table, columns in words.tables.items():
            options.append(Option(Content.styled(one_line(table, 28), "bold $accent"), id=plain_name(table, table=True)))
            options += [
                Option(Content.assemble("  ", one_line(column, 16), (f" {one_line(kind, 12)}", "$text-muted")), id=f"{table}\0{plain_name(column)}")
                for column, kind in columns.items()
            ]
        self.query_one("#sql-tables", OptionList).set_options(options)

    def _tell(self, text: str | Content, style: str = "$text-muted") -> None:
        self.query_one("#sql-told", Static).update(text if isinstance(text, Content) else Content.styled(clean(text), style))

    # -- running -----------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        statement = self.query_one(SqlEditor).text.strip()
        self.query_one(Completions).hide()
        if statement and self._query is None and self._bridge.engine is not None:
            self.run_worker(self._run(statement), exit_on_error=False)

    async def _run(self, statement: str) -> None:
        engine = self._bridge.engine
        if engine is None:
            return
        self._history.add(statement)
        kept = json.dumps(self._history.queries)
        self._query = query = engine.query(statement)
        self._tell("Running … Esc stops it.", "$warning")
        try:
            await self._bridge.call(lambda: engine.workspace.remember(HISTORY, kept))
            answer = await self._bridge.call(query.run)
        except Stopped:
            self._tell("Stopped.", "$warning")
        except BitternError as error:
            self._tell(_wrong(error))
        else:
            self._answer, self._ran = answer, statement
            rows = f"{answer.rows:,} row{'s' if answer.rows != 1 else ''}"
            more = (
                f"The first {rows}; there are more. ctrl+s keeps them all." if answer.cut else f"{rows} in {answer.seconds:.2f} s. ctrl+s keeps them."
            )
            self._tell(more)
            await self._show(0, 0)
        finally:
            self._query = None

    async def _show(self, start: int, at: int) -> None:
        answer = self._answer
        rows = await self._bridge.call(lambda: answer.window(start, WINDOW))
        if not self.query(RowsTable):
            await self.query_one("#sql-told").parent.mount(RowsTable())  # type: ignore[union-attr]
        table = self.query_one(RowsTable)
        table.show(rows, start, answer.rows, at, self.size.width - (0 if self.has_class("-narrow") else 34))
        table.display = bool(rows)

    async def on_rows_table_page_wanted(self, event: RowsTable.PageWanted) -> None:
        event.stop()
        await self._show(event.start, event.cursor)

    # -- keys --------------------------------------------------------------------------------------------------

    def on_sql_editor_left(self) -> None:
        if self.query(RowsTable):
            self.query_one(RowsTable).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a table or a column writes its name."""
        event.stop()
        editor = self.query_one(SqlEditor)
        editor.insert((event.option.id or "").rpartition("\0")[2] + " ")
        self.query_one(Completions).hide()
        editor.focus()

    def action_history(self, by: int) -> None:
        editor = self.query_one(SqlEditor)
        if (found := self._history.move(by, editor.text)) is not None:
            editor.put(found)

    def action_keep(self) -> None:
        if not self._ran:
            self._tell("Run a query first; then its answer can be kept.", "$warning")
            return
        box = self.query_one("#sql-keep", Input)
        box.display = True
        box.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        if not name or " " in name:
            self._tell("A name is one word: letters, digits, - and _.", "$warning")
            return
        self._close_box()
        self.app.post_message(RunLine(f"keep {name} {self._ran}", quiet=True))
        self._tell(f"Keeping the answer as {name}: Jobs shows how far it is.")

    def _close_box(self) -> None:
        box = self.query_one("#sql-keep", Input)
        box.value = ""
        box.display = False
        self.query_one(SqlEditor).focus()

    async def action_leave(self) -> None:
        """One step back: the running query, the completions, the name, the table, the screen."""
        if self._query is not None:
            self._query.stop()
        elif self.query_one(Completions).display:
            self.query_one(Completions).hide()
        elif self.query_one("#sql-keep").display:
            self._close_box()
        elif not self.query_one(SqlEditor).has_focus:
            self.query_one(SqlEditor).focus()
        else:
            text = self.query_one(SqlEditor).text
            if (engine := self._bridge.engine) is not None:
                await self._bridge.call(lambda: engine.workspace.remember(DRAFT, text))
            self.dismiss()


def _wrong(error: BitternError) -> Content:
    """An error with the line it is about, and the place in it."""
    parts: list[Content | tuple[str, str] | str] = [(clean(error.message), "$error"), ("  " + clean(error.hint), "$text-muted")]
    if error.line:
        start, end = error.start, max(error.start + 1, error.end)
        line = clean(error.line.expandtabs(1))
        parts += ["\n", line[:start], (line[start:end], "reverse $error"), line[end:]]
        if start >= len(line):
            parts.append((" ", "reverse $error"))
    return Content.assemble(*parts)
