"""The conversations: found, gone back to, named, pinned, put away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from engine.errors import BitternError
from tui.text import cells, one_line, pad

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult


class SessionsScreen(ModalScreen[str]):
    """Dismissed with the line to run (``clear``), or an empty string. ``ask`` answers a Command, given
    as its verb and its values, with its Result's data; it raises ``BitternError``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        # Priority: they act before the next key is handed to the list, which would take it for one of its own.
        Binding("slash", "look", "Search", key_display="/", priority=True),
        Binding("n", "rename", "Name", priority=True),
        Binding("p", "pin", "Pin"),
        Binding("delete", "forget", "Put away", key_display="Del"),
        Binding("u", "restore", "Undo"),
        Binding("plus,a", "new", "New", key_display="+"),
    ]

    def __init__(self, ask: Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        super().__init__()
        self._ask = ask
        self._found: list[dict[str, Any]] = []
        self._here = ""
        self._away: list[str] = []
        self._renaming = ""
        self._text = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="sessions") as dialog:
            dialog.border_title = "Conversations"
            dialog.border_subtitle = "Enter opens · / search · n name · p pin · Del away · u undo · + new"
            yield Input(placeholder="/ looks in names and in all that was said", id="sessions-line", compact=True)
            yield OptionList(markup=False, compact=True, id="sessions-list")

    async def on_mount(self) -> None:
        await self._read()
        self.set_focus(self._list)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the line, a slash and an n are text."""
        if action in ("look", "rename") and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    @property
    def _list(self) -> OptionList:
        return self.query_one("#sessions-list", OptionList)

    @property
    def _chosen(self) -> dict[str, Any] | None:
        at = self._list.highlighted
        return self._found[at] if at is not None and at < len(self._found) else None

    async def _read(self, at: str = "") -> None:
        """Look again, and put the cursor on a conversation."""
        data = await self._do("sessions", text=self._text)
        if data is None:
            return
        self._found, self._here = data["sessions"], data["current"]
        self._list.set_options([Option(self._line(record)) for record in self._found])
        names = [record["session"] for record in self._found]
        wanted = at or self._here
        self._list.highlighted = names.index(wanted) if wanted in names else 0 if names else None
        if not names:
            self._list.add_option(Option(Content.styled("nothing was found" if self._text else "no conversation yet", "$text-muted"), disabled=True))

    def _line(self, record: dict[str, Any]) -> Content:
        width = min(32, max(cells(one_line(found["session"], 32)) for found in self._found))
        marks = ("● " if record["session"] == self._here else "  ") + ("▲ " if record["pinned"] else "  ")
        return Content.assemble(
            (marks, "$accent"), (pad(one_line(record["session"], width), width), "bold"),
            (f" {record['count']:>4}  {record['changed'][:16].replace('T', ' ')}  ", "$text-muted"), one_line(record["begins"], 200),
        )  # fmt: skip

    async def _do(self, verb: str, **values: Any) -> dict[str, Any] | None:
        """Answer a Command; an error is told, and answers nothing."""
        try:
            return await self._ask(verb, values)
        except BitternError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            return None

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        # Not as a line: a name may hold quotes and what looks like a flag.
        if (record := self._chosen) and await self._do("session", name=record["session"]) is not None:
            self.dismiss("")

    def action_new(self) -> None:
        self.dismiss("clear")

    def action_look(self) -> None:
        self._renaming = ""
        self._prompt("Search", self._text)

    def action_rename(self) -> None:
        if record := self._chosen:
            self._renaming = record["session"]
            self._prompt("Its new name", self._renaming)

    def _prompt(self, told: str, text: str) -> None:
        line = self.query_one(Input)
        line.placeholder = told
        line.value = text
        # At once: what is typed next must not be taken for a key of the list.
        self.set_focus(line)

    async def on_input_changed(self, event: Input.Changed) -> None:
        if not self._renaming and event.value != self._text and event.input.has_focus:
            self._text = event.value
            await self._read()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        old, new = self._renaming, event.value.strip()
        if old:
            if new and new != old and await self._do("session", name=old, rename=new) is None:
                return
            self._leave_line()
            await self._read(new)
        self.set_focus(self._list)

    def _leave_line(self) -> None:
        self._renaming = ""
        self.query_one(Input).value = self._text

    async def action_pin(self) -> None:
        if record := self._chosen:
            await self._do("session", name=record["session"], pin=not record["pinned"])
            await self._read(record["session"])

    async def action_forget(self) -> None:
        if (record := self._chosen) and await self._do("session", name=record["session"], forget=True) is not None:
            self._away.append(record["session"])
            self.notify(f"“{one_line(record['session'], 60)}” is off the list; u brings it back.", markup=False, timeout=4)
            await self._read()

    async def action_restore(self) -> None:
        """Bring back what was put away last here, or else ever."""
        if not self._away and (data := await self._do("sessions", forgotten=True)):
            self._away = [record["session"] for record in reversed(data["sessions"])]
        if self._away:
            name = self._away.pop()
            await self._do("session", name=name, restore=True)
            await self._read(name)

    def action_back(self) -> None:
        if self.query_one(Input).has_focus:
            self._leave_line()
            self.set_focus(self._list)
        else:
            self.dismiss("")
