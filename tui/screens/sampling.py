"""How this conversation is answered, as a form."""

from __future__ import annotations

from typing import Any

from textual.containers import Vertical
from textual.widgets import Button

from tui.screens.train_form import TrainForm


class SamplingForm(TrainForm):
    """Dismissed with the line to run, or an empty string. An empty field is the preset's, or the default."""

    CSS = "SamplingForm .field .label { width: 20; }"  # the longest name, and a space behind it

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#train-form", Vertical).border_title = "Answers in this conversation"
        self.query_one("#train-form", Vertical).border_subtitle = "ctrl+s sets, Esc leaves it"
        self.query_one("#start", Button).label = "Set"

    def _values(self) -> dict[str, Any]:
        # What was emptied goes back to what it is by default.
        return {"reset": True, **super()._values()}
