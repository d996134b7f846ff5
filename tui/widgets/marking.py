"""Labels by one key a row, edits of a cell, undo and redo: each is a Command, and a new version of the dataset."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from engine.errors import BitternError
from tui.messages import RunVerb
from tui.text import clean, one_line
from tui.widgets.detail_part import DetailPart
from tui.widgets.prompt import Prompt
from tui.widgets.rows import as_json

KEYS = 9
"""Labels that have a key."""


class Marking(DetailPart):
    """The part of a dataset's detail that changes its rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "mark", "Label"),
        *(Binding(str(number), f"label({number})", show=False) for number in range(1, KEYS + 1)),
        Binding("e", "edit", "Edit"),
        Binding("u", "undo", "Undo"),
        Binding("U,ctrl+y", "redo", "Redo", show=False),
    ]

    _labels: tuple[str, ...] = ()
    _edited: dict[str, Any]

    @property
    def address(self) -> str:
        """The address of the row that the person is at."""
        return f"{self.look.dataset}/{self.look.split}/{self.number}" if self.look and self.number >= 0 else ""

    @property
    def version(self) -> str:
        """The fingerprint of the rows on the screen: by the time a change is made there may be a newer one."""
        return str(self._view.record.fingerprint) if self._view else ""

    # -- labels ------------------------------------------------------------------------------------------------

    async def action_mark(self) -> None:
        """Let the number keys label rows, or let them go again."""
        if self._labels:
            self.end_marking()
            return
        dataset, engine = self.dataset, self._bridge.engine
        if dataset is None or engine is None:
            return
        column, found = dataset.columns.get("label", ""), []
        if column:
            try:
                found = await self._bridge.call(lambda: engine.common_values(dataset.name, column, KEYS))
            except BitternError as error:
                self.notify(error.message, title=error.title, severity="error", markup=False)
                return
        if found:
            self._begin_marking(found)
        else:
            self.query_one(Prompt).ask("labels", "labels", hint=f"Up to {KEYS}, with commas between; a column “{column or 'label'}” takes them.")

    def _begin_marking(self, labels: list[str]) -> None:
        self._labels = tuple(sorted(labels[:KEYS]))
        bar = self.query_one("#labels", Static)
        parts: list[Content | tuple[str, str] | str] = [("label  ", "$text-muted")]
        for number, label in enumerate(self._labels, start=1):
            parts += [(f" {number} ", "reverse"), f" {one_line(label, 34)}  "]
        bar.update(Content.assemble(*parts, ("u undo  e any other  l done", "$text-muted")))
        bar.display = True
        self.refresh_bindings()

    def end_marking(self) -> None:
        """The number keys mean nothing again."""
        self._labels = ()
        for bar in self.query("#labels"):
            bar.display = False
        self.refresh_bindings()

    async def action_label(self, number: int) -> None:
        """Give the row the label of a key, and go to the next."""
        if not 0 < number <= len(self._labels) or not self.address:
            return
        self.post_message(RunVerb("label", {"address": self.address, "value": self._labels[number - 1], "at": self.version}, told=False))
        if self.in_row:
            await self.action_next(1)
        elif self.table:
            self.table.action_cursor_down()

    # -- edits -------------------------------------------------------------------------------------------------

    def action_edit(self) -> None:
        """Write another value into the cell under the cursor."""
        table, row = self.table, self._row()
        if table is None or row is None or table.column not in row or not self.address:
            return
        value = row[table.column]
        text = value if isinstance(value, str) else "" if value is None else as_json(value)
        if re.fullmatch(r"‹.*›", text) and self.dataset and self.dataset.features.get(table.column) != "string":
            self.notify("A picture or a sound can't be edited here.", severity="warning", markup=False)
            return
        self._edited = {"address": self.address, "column": table.column, "at": self.version}
        if len(text) > 200 or clean(text) != text or "\n" in text or "\t" in text:
            self._edit_at_length(text)
        else:
            self.query_one(Prompt).ask("edit", table.column, text, hint=f"Enter writes it into row {self.number}; u takes it back.")

    def _edit_at_length(self, text: str) -> None:
        from tui.screens.edit import EditScreen

        def finished(changed: str | None) -> None:
            if changed is not None and changed != text:
                self._write(changed)

        self.app.push_screen(EditScreen(f"{self._edited['column']} of row {self.number}", text), finished)

    def _write(self, text: str) -> None:
        self.post_message(RunVerb("edit", {**self._edited, **({"value": text} if text else {"empty": True})}))

    def action_undo(self) -> None:
        if self.dataset:
            self.post_message(RunVerb("undo", {"dataset": self.dataset.name}))

    def action_redo(self) -> None:
        if self.dataset:
            self.post_message(RunVerb("redo", {"dataset": self.dataset.name}))

    def answered_marking(self, kind: str, text: str, prompt: Prompt) -> None:
        """A prompt of this part was answered."""
        if kind == "labels":
            labels = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
            if len(labels) < 2 or len(labels) > KEYS:
                prompt.wrong(BitternError(f"Two to {KEYS} labels have keys.", "For example: good, bad"))
                return
            self._begin_marking(labels)
        elif kind == "edit":
            self._write(text)
        prompt.close()
        self.show_table()

    def check_marking(self, action: str) -> bool:
        """Whether an action of this part has a meaning now."""
        return bool(self._labels) if action == "label" else True
