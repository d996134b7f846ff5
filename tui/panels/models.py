"""Models: the list, and the facts of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.messages import AskTrain, FillBox, OpenScreen, RunLine, ShowDetail
from tui.state.catalog import size
from tui.text import cells, clean, one_line, pad
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from tui.state.catalog import CatalogState, ModelView


class ModelsPanel(NamedList):
    """The models of the workspace; the one in use has a mark, and those in memory say how much they take of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Use"),
        Binding("space", "facts", "Facts"),
        Binding("t", "train", "Train"),
        Binding("e", "evaluate", "Evaluate"),
        Binding("a", "pull", "Pull"),
        Binding("f", "find", "Find"),
    ]

    def __init__(self) -> None:
        super().__init__(id="models", empty="No models yet. /setup brings the starter models; /pull NAME brings another.")
        self.border_title = "Models"

    def draw(self, catalog: CatalogState) -> None:
        self.border_title = f"Models {len(catalog.models)}" if catalog.models else "Models"
        self.show([(item.name, self._entry(item, item.name == catalog.model, catalog.memory.get(item.name))) for item in catalog.models])

    def _entry(self, item: ModelView, used: bool, memory: int | None) -> Content:
        mark = ("● ", "$success") if used else ("  ", "")
        about = f"  {item.kind} {size(item.bytes)}"
        return Content.assemble(
            mark, (one_line(item.name, 18), "bold" if used else ""), (about, "$text-muted"), (f" ▪{size(memory)}" if memory else "", "$accent")
        )

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(RunLine(f"use {event.option.id}", quiet=True))
            self.post_message(ShowDetail("model", event.option.id))

    def action_facts(self) -> None:
        if self.chosen:
            self.post_message(ShowDetail("model", self.chosen))

    def action_train(self) -> None:
        self.post_message(AskTrain(base=self.chosen))

    def action_evaluate(self) -> None:
        if self.chosen:
            self.post_message(FillBox(f"/evaluate {self.chosen} --on "))

    def action_find(self) -> None:
        self.post_message(OpenScreen("find", "models"))

    def action_pull(self) -> None:
        self.post_message(FillBox("/pull "))


class ModelDetail(VerticalScroll):
    """The facts of a model."""

    def __init__(self) -> None:
        super().__init__(id="model-detail", classes="detail")
        self.name_shown = ""

    def compose(self) -> ComposeResult:
        yield Static(id="model-facts", markup=False)

    def draw(self, model: ModelView, used: bool, memory: Sequence[tuple[str, str]] = ()) -> None:
        """``memory``: what it needs of it, where that is known."""
        self.name_shown = model.name
        lines = [*model.lines(), *memory]
        width = min(26, max(cells(name) for name, _ in lines) + 2)
        parts: list[Content | tuple[str, str] | str] = [
            (clean(model.name), "bold"), ("   in use\n\n" if used else "\n\n", "$success"),
        ]  # fmt: skip
        for name, value in lines:
            parts += [(pad(one_line(name, 24), width), "$text-muted"), clean(value), "\n"]
        how = "t trains on it, e measures it." if model.kind != "endpoint" else "e measures what it writes."
        if model.talks:
            how = f"Enter in Models uses it for chat and answers. {how}"
        elif model.kind == "tokenizer":
            how = f"/new NAME --tokenizer {model.name} makes a model with it, /tokens --model {model.name} shows texts as its tokens."
        parts += ["\n", (clean(how), "$text-muted")]
        self.query_one("#model-facts", Static).update(Content.assemble(*parts))
        parent = self.parent
        if parent is not None:
            parent.border_title = Content(one_line(model.name, 50))  # type: ignore[attr-defined]
