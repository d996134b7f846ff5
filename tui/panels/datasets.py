"""Datasets: the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from tui.messages import AskSure, AskTrain, FillBox, OpenScreen, RunLine, ShowDetail
from tui.state.catalog import count
from tui.text import one_line
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from tui.state.catalog import CatalogState, DatasetView


class DatasetsPanel(NamedList):
    """The datasets of the workspace; the one in use has a mark."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Rows"),
        Binding("a", "add", "Add"),
        Binding("f", "find", "Find"),
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
        return Content.assemble(
            mark, (one_line(item.name, 18), "bold" if used else ""), (f"  {count(item.rows)} {one_line(item.shape, 20)}", "$text-muted")
        )

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(ShowDetail("dataset", event.option.id))

    def action_add(self) -> None:
        self.post_message(FillBox("/add "))

    def action_find(self) -> None:
        self.post_message(OpenScreen("find", "datasets"))

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
