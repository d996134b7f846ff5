"""Keys and verbs on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import KEYS
from tui.text import clean, one_line, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class HelpScreen(ModalScreen[None]):
    """``verbs``: each verb with its summary."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss(None)", "Back")]

    def __init__(self, verbs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._verbs = verbs

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide") as page:
            page.border_title = "Help"
            page.border_subtitle = "Esc closes"
            yield Static(self._page(), markup=False)

    def on_mount(self) -> None:
        self.query_one(".dialog").focus()

    def _page(self) -> Content:
        parts: list[Content | tuple[str, str] | str] = []
        for title, keys in KEYS:
            parts += [(title, "bold $accent"), "\n"]
            for key, told in keys:
                parts += [("  " + key.ljust(12), "bold"), told, "\n"]
            parts.append("\n")
        parts += [("Commands", "bold $accent"), ("  the same words work in the shell: bittern VERB …  /help VERB tells more\n", "$text-muted")]
        for verb, told in self._verbs:
            parts += [(pad(f"  /{one_line(verb, 30)}", 14), "bold"), clean(told), "\n"]
        return Content.assemble(*parts)
