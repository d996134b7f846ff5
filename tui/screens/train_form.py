"""A form made from a Command's fields; it shows the very line it will run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select, Static, Switch

from tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget

    from engine.commands.base import Command
    from engine.commands.describe import FieldView
    from engine.commands.training.outlook import Outlook


class TrainForm(ModalScreen[str]):
    """Dismissed with the line to run, or an empty string. ``names`` answers a kind (datasets, models) with names."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Cancel"),
        Binding("ctrl+s", "start", "Start"),
        Binding("f7", "mask", "Mask", priority=True),
        Binding("f8", "preflight", "Preflight", priority=True),
    ]

    def __init__(
        self,
        command: type[Command],
        fields: Sequence[FieldView],
        names: Mapping[str, list[str]],
        given: Mapping[str, str],
        memory: Callable[[str], Awaitable[str]] | None = None,
        mask: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
        outlook: Callable[[str], Awaitable[Outlook | None]] | None = None,
    ) -> None:
        """``memory`` answers a line with what it will need of it, ``outlook`` with what it comes to; ``mask`` shows the
        tokens of what is filled in."""
        super().__init__()
        self._mask = mask
        self._memory, self._outlook = memory, outlook
        self._asked = ""
        self._command, self._fields, self._names, self._given = command, fields, names, given

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="train-form") as form:
            form.border_title = "Train"
            form.border_subtitle = "ctrl+s starts" + (", F7 shows the mask, F8 tries it" if self._mask else "") + ", Esc cancels"
            with VerticalScroll(id="fields", can_focus=False):
                for view in self._fields:
                    with Horizontal(classes="field"):
                        yield Static(view.name.replace("_", " ") + (" *" if view.required else ""), classes="label", markup=False)
                        yield self._input(view)
                        yield Static(Content(view.help), classes="help", markup=False)
            yield Static(id="line", markup=False)
            yield Static(id="outlook", markup=False)
            yield Static(id="memory", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Start", variant="primary", id="start", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        self._pause = self.set_interval(0.2, self._draw_outlook, pause=True)
        self._draw_line()
        self.query("#fields Select, #fields Input").first().focus()

    def _input(self, view: FieldView) -> Widget:
        name = f"field-{view.name}"
        given = self._given.get(view.name, "" if view.default in (None, (), []) else str(view.default))
        if view.kind == "switch":
            return Switch(bool(view.default), id=name, animate=False)
        choices = list(view.choices) or self._names.get(view.names, [])
        if choices and not view.many:
            value: Any = given if given in choices else Select.NULL
            blank = not (view.required and value is not Select.NULL)
            return Select([(Content(clean(choice)), choice) for choice in choices], value=value, allow_blank=blank, id=name, compact=True)
        kinds: dict[str, Any] = {"integer": "integer", "number": "number"}
        return Input(given, id=name, type=kinds.get(view.kind, "text"), compact=True, placeholder="" if given else _open(view))

    def _values(self) -> dict[str, Any]:
        """What is filled in; a field left at its default stays out, so that the line stays short."""
        values: dict[str, Any] = {}
        for view in self._fields:
            widget = self.query_one(f"#field-{view.name}")
            if isinstance(widget, Switch):
                value: Any = widget.value
            elif isinstance(widget, Select):
                value = None if widget.is_blank() else widget.value
            else:
                value = self.query_one(f"#field-{view.name}", Input).value.strip() or None
            if view.many and isinstance(value, str):
                value = [part.strip() for part in value.split(",") if part.strip()]
            if value is not None and str(value) != str(view.default):
                values[view.name] = value
        return values

    def _line(self) -> tuple[str, str]:
        """The line, or what is wrong with what is filled in."""
        from pydantic import ValidationError

        from engine.commands.parse import to_line

        try:
            return to_line(self._command(**self._values())), ""
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).replace("_", " ") if first["loc"] else ""
            return "", f"{name}: {first['msg'].removeprefix('Value error, ')}"

    def _draw_line(self) -> None:
        line, wrong = self._line()
        text = Content.styled(clean(wrong), "$error") if wrong else Content.assemble(("/", "$accent"), clean(line))
        self.query_one("#line", Static).update(text)
        self._asked = "" if wrong else line
        self._pause.reset()
        self._pause.resume()

    async def _draw_outlook(self) -> None:
        """Once the typing pauses: what the training comes to, what it will need, and what is taken where a field is open."""
        self._pause.pause()
        asked = self._asked
        found = await self._outlook(asked) if self._outlook and asked else None
        said = await self._memory(asked) if self._memory and asked else ""
        if asked != self._asked:
            return
        style = "$error" if "does not fit" in said else "$warning" if "tight" in said or "would be cut" in said else "$text-muted"
        self.query_one("#memory", Static).update(Content.styled(clean(said), style))
        told = Content.styled(clean(found.wrong or found.says), "$error" if found.wrong else "$text") if found else ""
        self.query_one("#outlook", Static).update(told)
        for view in self._fields if self._outlook else ():
            box = self.query_one(f"#field-{view.name}")
            if isinstance(box, Input):
                box.placeholder = (found.filled if found else {}).get(view.name) or _open(view)

    def on_input_changed(self) -> None:
        self._draw_line()

    def on_select_changed(self) -> None:
        self._draw_line()

    def on_switch_changed(self) -> None:
        self._draw_line()

    async def on_input_submitted(self) -> None:
        await self.action_start()

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "start":
            await self.action_start()
        else:
            self.dismiss("")

    async def action_start(self) -> None:
        if line := await self._sound():
            self.dismiss(line)

    async def action_preflight(self) -> None:
        """Try what is filled in for a few steps, instead of starting it."""
        if line := await self._sound():
            self.dismiss(f"preflight {line.partition(' ')[2]}")

    async def _sound(self) -> str:
        """The line, if it can be run; else what is wrong is said, and what is filled in stays."""
        line, wrong = self._line()
        if not wrong and self._outlook and (found := await self._outlook(line)):
            wrong = found.wrong
        if wrong:
            self.notify(clean(wrong), title="Not yet", severity="warning", markup=False)
        return "" if wrong else line

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self._mask is not None if action in ("mask", "preflight") else True

    def action_mask(self) -> None:
        """Show which tokens of the chosen rows carry loss; Esc comes back here."""
        _, wrong = self._line()
        if wrong or self._mask is None:
            self.notify(wrong, title="Not yet", severity="warning", markup=False)
        else:
            self.run_worker(self._mask(self._values()), exclusive=True, group="mask")


def _open(view: FieldView) -> str:
    """What stands in a field that is left open, until it is known what it gets."""
    return "none" if view.many else "automatic"
