"""What the parts of a dataset's detail know of it: they are classes beside each other, not widgets of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.widget import Widget

    from tui.bridge import Bridge
    from tui.state.catalog import DatasetView
    from tui.state.look import Look
    from tui.widgets.prompt import Prompt
    from tui.widgets.rows import RowsTable

    Base = Widget
else:
    Base = object


class DetailPart(Base):
    """The detail has all of these; each part adds its own keys to them."""

    _bridge: Bridge
    dataset: DatasetView | None
    look: Look | None
    _view: Any
    _token: Any
    _at: int
    _rows: list[tuple[int, dict[str, Any]]]
    _seen: str

    if TYPE_CHECKING:

        @property
        def in_row(self) -> bool: ...
        @property
        def number(self) -> int: ...
        @property
        def table(self) -> RowsTable | None: ...
        def show_table(self) -> None: ...
        def _show(self, part: str) -> None: ...
        def _draw_table(self, at: int) -> None: ...
        def _draw_facts(self) -> None: ...
        def _draw_schema(self) -> None: ...
        def _keep(self, rows: list[tuple[int, dict[str, Any]]], start: int, at: int) -> None: ...
        def _row(self) -> dict[str, Any] | None: ...
        async def _show_row(self, at: int, *, focus: bool = True) -> None: ...
        async def action_next(self, by: int) -> None: ...
        def answered_marking(self, kind: str, text: str, prompt: Prompt) -> None: ...
