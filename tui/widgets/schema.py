"""The columns of a dataset: their types, what they are for, how much of them is empty, which are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tui.text import one_line, pad
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from tui.state.catalog import DatasetView


class Schema(NamedList):
    """Enter hides a column in the table, or shows it again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "select", "Hide or show", key_display="Enter")]

    @dataclass
    class Toggled(Message):
        column: str

    def __init__(self) -> None:
        super().__init__(id="schema", empty="It has no columns.")
        self._columns: list[str] = []

    def draw(self, dataset: DatasetView, hidden: frozenset[str], nulls: dict[str, int] | None = None) -> None:
        """``nulls``: how many values of each column are empty; ``None`` while that is being counted."""
        roles = {column: role for role, column in dataset.columns.items()}
        self._columns = list(dataset.features)
        width = min(30, max((len(one_line(name, 30)) for name in self._columns), default=0)) + 2
        entries = []
        for number, (name, kind) in enumerate(dataset.features.items()):
            content = Content.assemble(
                ("  " if name in hidden else "● ", "$success"), (pad(one_line(name, 30), width), "strike dim" if name in hidden else "bold"),
                (pad(one_line(roles.get(name, ""), 12), 12), "$accent"),
                (pad("…" if nulls is None else empty(nulls.get(name, 0), dataset.rows), 15), "$warning" if nulls and nulls.get(name) else "$text-muted"),
                (one_line(kind, 300), "$text-muted"),
            )  # fmt: skip
            entries.append((f"column-{number}", content))
        self.show(entries)

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Toggled(self._columns[event.option_index]))


def empty(count: int, rows: int) -> str:
    """How much of a column is empty, in few characters: nothing where nothing is."""
    if not count or not rows:
        return ""
    share = count / rows
    return "all empty" if count >= rows else f"{'<1' if share < 0.01 else '>99' if share > 0.99 else round(share * 100)}% empty"
