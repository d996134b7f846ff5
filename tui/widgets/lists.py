"""A titled list whose entries are redrawn one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType


class NamedList(OptionList):
    """Entries by name. ``show`` redraws only what changed and keeps the place of the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [("j", "cursor_down"), ("k", "cursor_up")]

    def __init__(self, *, id: str, empty: str, waits: bool = False) -> None:  # noqa: A002
        """``empty`` is what stands there instead of entries; with ``waits`` not before ``show`` said that there are none."""
        super().__init__(id=id, markup=False, compact=True)
        self._empty, self._waits = empty, waits
        self._names: list[str] = []
        self._shown: dict[str, Content] = {}

    def on_mount(self) -> None:
        if not self._waits:
            self.show([])

    def show(self, entries: Sequence[tuple[str, Content]]) -> None:
        """Draw these entries: a name (unique) and what is shown for it."""
        names = [name for name, _ in entries]
        if not names:
            self._names, self._shown = [], {}
            self.set_options([Option(Content.styled(self._empty, "$text-muted"), disabled=True)])
            return
        if names == self._names:
            for name, content in entries:
                if name not in self._shown or not content.is_same(self._shown[name]):
                    self.replace_option_prompt(name, content)
        else:
            before = self.chosen
            self.set_options([Option(content, id=name) for name, content in entries])
            self._names = names
            self.highlighted = names.index(before) if before in names else 0
        self._shown = dict(entries)

    @property
    def chosen(self) -> str:
        """The name under the cursor, or an empty string."""
        option = self.highlighted_option
        return (option.id or "") if option else ""

    def choose(self, name: str) -> None:
        """Put the cursor on a name, if it is there."""
        if name in self._names:
            self.highlighted = self._names.index(name)
