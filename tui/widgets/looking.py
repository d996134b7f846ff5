"""Which rows of a dataset are looked at, and in which order: computed on a thread, stopped by Esc."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from engine.errors import BitternError, Stopped, explain
from tui.text import clean, one_line
from tui.widgets.detail_part import DetailPart
from tui.widgets.prompt import Prompt, quoted
from tui.widgets.rows import WINDOW

if TYPE_CHECKING:
    from engine.engine import Engine
    from tui.state.catalog import DatasetView
    from tui.state.look import Look

log = logging.getLogger(__name__)


class Looking(DetailPart):
    """The part of a dataset's detail that chooses its rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "Filter"),
        Binding("o", "order", "Order"),
        Binding("s", "split", "Split"),
        Binding("g", "go", "Go to row"),
    ]

    _answered: Look | None = None

    def start(self, look: Look, number: int = 0, *, then_row: bool = False) -> None:
        """:meth:`see`, beside the loop that reads the keys: a filter over many rows takes a while."""
        self.stop()
        self.run_worker(self._see(look, number, then_row), group="look", exclusive=True, exit_on_error=False)

    async def _see(self, look: Look, number: int, then_row: bool) -> None:
        if await self.see(look, number) and then_row:
            await self._show_row(self._at)

    def stop(self) -> bool:
        """Let go of a filter or an order that is being made; false when there is none."""
        if self._token is None:
            return False
        self._token.ask("cancel")
        return True

    async def see(self, look: Look, number: int = 0) -> bool:
        """Draw the rows of a look, the cursor on the row with this number in its split, or on the first."""
        engine, token = self._bridge.engine, None
        if engine is None:
            return False
        self.stop()
        token = self._token = engine.token()
        self._draw_facts()
        try:
            view, start, at, rows = await self._bridge.call(lambda: _fetch(engine, look, number, token))
        except Stopped:
            self._fall_back(look)
            return False
        except Exception as error:
            # The top of a request: whatever the rows made the reader trip over is told, and the log has the rest.
            if not isinstance(error, BitternError):
                log.exception("%s could not be looked at", look)
            self._failed(explain(error))
            self._fall_back(look)
            return False
        finally:
            if self._token is token:
                self._token = None
                self._draw_facts()
        if token.asked:
            return False
        self.look, self._view = look, view
        self._keep(rows, start, at)
        prompt = self.query_one(Prompt)
        if prompt.kind == "filter" and look is self._answered:
            prompt.close()
            self.show_table()
        return True

    def _fall_back(self, look: Look) -> None:
        """A dataset that was opened by a filter, and the filter came to nothing: show all its rows."""
        if look.where and self._view is None and self.look and look.dataset == self.look.dataset:
            self.call_next(self.start, self.look)

    def _failed(self, error: BitternError) -> None:
        prompt = self.query_one(Prompt)
        if prompt.kind == "filter":
            prompt.wrong(error)
        else:
            self.notify(clean(error), title=error.title, severity="error", markup=False)

    async def _page(self, start: int, at: int) -> bool:
        """Bring the window that begins at ``start``."""
        view = self._view
        if view is None:
            return False
        try:
            rows = await self._bridge.call(lambda: view.window(start, WINDOW))
        except BitternError as error:
            self._failed(error)
            return False
        if view is not self._view:
            return False  # the person has gone elsewhere meanwhile
        self._keep(rows, start, at)
        return True

    async def _see_again(self, look: Look) -> None:
        if await self.see(look, max(0, self.number)):
            if self.in_row and self._rows:
                await self._show_row(self._at, focus=False)
            elif self._seen == "schema":
                self._draw_schema()

    # -- asking ------------------------------------------------------------------------------------------------

    def action_split(self) -> None:
        if self.dataset is None or self.look is None or len(self.dataset.splits) < 2:
            return
        names = list(self.dataset.splits)
        after = names[(names.index(self.look.split) + 1) % len(names)] if self.look.split in names else names[0]
        self.show_table()
        self.start(replace(self.look, split=after))

    def action_go(self) -> None:
        if self.look:
            self.query_one(Prompt).ask("go", "row", hint="A row's number in this split, counted from 0")

    def action_filter(self) -> None:
        if self.look and self.dataset:
            columns = list(self.dataset.features)
            hint = f"A condition of SQL, for example {_example(self.dataset)}. Empty shows all rows. Columns: {', '.join(columns[:30])}"
            self.query_one(Prompt).ask("filter", "where", self.look.where, columns=columns, hint=one_line(hint, 220))

    def action_order(self) -> None:
        if self.look and self.table and self.table.column:
            self.start(self.look.ordered_by(self.table.column), max(0, self.number))

    async def on_prompt_answered(self, event: Prompt.Answered) -> None:
        event.stop()
        prompt = self.query_one(Prompt)
        if self.look is None:
            return
        if event.kind == "filter":
            self._answered = replace(self.look, where=event.text)
            self.start(self._answered, max(0, self.number))
        elif event.kind == "go":
            await self._go_to(event.text.replace(",", ""))
        else:
            self.answered_marking(event.kind, event.text, prompt)

    async def _go_to(self, text: str) -> None:
        prompt = self.query_one(Prompt)
        look, dataset, view = self.look, self.dataset, self._view
        if look is None or dataset is None or view is None:
            return
        last = dataset.splits.get(look.split, 0) - 1
        if not text.isascii() or not text.isdigit():
            prompt.wrong(BitternError("A row is a number.", f"The rows of {look.split} are 0 to {last}."))
            return
        number = min(int(text), max(0, last))
        at = await self._bridge.call(lambda: view.index_of(number))
        if at is None:
            prompt.wrong(BitternError(f"Row {number} does not fit the filter.", "f and an empty line shows all rows."))
            return
        prompt.close()
        self.show_table()
        await self._page(at // WINDOW * WINDOW, at)


def _fetch(engine: Engine, look: Look, number: int, token: Any) -> tuple[Any, int, int, list[tuple[int, dict[str, Any]]]]:
    """On a thread: the view of a look, and its window around a row."""
    view = engine.view(look.dataset, look.split, look.where, look.sort, token)
    at = view.index_of(number) or 0
    start = at // WINDOW * WINDOW
    return view, start, at, view.window(start, WINDOW)


def _example(dataset: DatasetView) -> str:
    if label := dataset.columns.get("label"):
        return f"{quoted(label)} = 'x'"
    text = dataset.columns.get("text") or next((name for name, kind in dataset.features.items() if kind == "string"), "")
    return f"{quoted(text)} LIKE '%word%'" if text else "_row < 100"
