"""The Hub: a search, its results, and the card of the one under the cursor, before anything is downloaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Markdown, Static

from engine.errors import BitternError, Stopped
from tui.messages import FillBox, RunLine
from tui.state.find import FindState, about, files, mark
from tui.text import cells, clean, one_line, pad
from tui.widgets.entries import words_only
from tui.widgets.keyline import KeyLine
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from tui.bridge import Bridge

QUIET = 0.4
"""Seconds without a key after which the words are searched, or the card under the cursor is fetched."""
CARD_SHOWN = 6000
"""Characters of a card that are drawn; long ones would hold the screen up."""
MARKS = {"here": "$success", "gated": "$warning", "private": "$warning"}


class FindScreen(ModalScreen[None]):
    """``name`` is ``models`` or ``datasets``, then words to begin with."""

    CSS = """
    FindScreen { align: left top; background: $background; }
    #find-query { border: round $border-blurred; height: 3; background: $background; padding: 0 1; border-title-color: $text-muted; }
    #find-told { height: auto; max-height: 4; padding: 0 1; }
    #find-body { height: 1fr; }
    #find-list { width: 2fr; height: 1fr; border: round $border-blurred; background: $background; text-wrap: nowrap; text-overflow: ellipsis; }
    #find-card { width: 3fr; height: 1fr; border: round $border-blurred; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    #find-query:focus, #find-list:focus, #find-card:focus { border: round $primary; }
    #find-facts { height: auto; }
    #find-text { padding: 0; margin: 1 0 0 0; background: $background; }
    FindScreen.-narrow #find-body { layout: vertical; }
    FindScreen.-narrow #find-list, FindScreen.-narrow #find-card { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f7", "turn('kind')", "Models/Datasets", priority=True),
        Binding("f8", "turn('sort')", "Order", priority=True),
        Binding("f9", "turn('access')", "Open/Gated", priority=True),
        Binding("c", "command", "Line to edit"),
        Binding("slash", "query", "Search", key_display="/"),
        Binding("down", "list", show=False),
        Binding("escape", "leave", "Back", priority=True),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        kind, _, self._first = name.partition(" ")
        self._bridge = bridge
        self._find = FindState(kind if kind in ("models", "datasets") else "models")
        self._found: dict[str, dict[str, Any]] = {}
        self._searching: Any = None
        self._reading: Any = None
        self._shown = ""

    def compose(self) -> ComposeResult:
        yield Input(self._first, id="find-query", placeholder="Words, and filters: --task text-generation --max-size 2B --licence mit --library gguf")
        yield Static(id="find-told", markup=False)
        found = NamedList(id="find-list", empty="Nothing here. Type a word of the name; Enter searches at once.")
        found.border_title = "Found"
        with Horizontal(id="find-body"):
            yield found
            with VerticalScroll(id="find-card") as card:
                card.border_title = "Card"
                yield Static(id="find-facts", markup=False)
                yield Markdown(id="find-text", open_links=False, parser_factory=words_only)
        yield KeyLine()

    def on_mount(self) -> None:
        self._draw_title()
        self.query_one("#find-query").focus()
        self._search_soon(0)

    def on_unmount(self) -> None:
        for token in (self._searching, self._reading):
            if token is not None:
                token.ask("cancel")

    def _draw_title(self) -> None:
        self.query_one("#find-query").border_title = Content(f"Hub: {self._find.title()}")

    def _tell(self, text: str | Content) -> None:
        self.query_one("#find-told", Static).update(text if isinstance(text, Content) else Content.styled(clean(text), "$text-muted"))

    # -- searching ---------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._search_soon(QUIET)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._search_soon(0)
        if self._found:
            self.query_one("#find-list").focus()

    def _search_soon(self, wait: float) -> None:
        """Search once the keys rest; what is being searched is given up."""
        if self._searching is not None:
            self._searching.ask("cancel")
        self.run_worker(self._search(wait), group="find", exclusive=True, exit_on_error=False)

    async def _search(self, wait: float) -> None:
        await asyncio.sleep(wait)
        engine = self._bridge.engine
        if engine is None:
            self._tell("The workspace is still being opened: try again in a moment.")
            return
        line = self._find.line(self.query_one("#find-query", Input).value)
        self._searching = token = engine.token()
        self._tell("Searching …")
        try:
            result = await self._bridge.call(lambda: engine.run(engine.parse(line), cancel=token))
        except Stopped:
            return
        except BitternError as error:
            self._found = {}
            self._draw()
            self._tell(_wrong(error))
            return
        self._found = {item["id"]: item for item in result.data["found"]}
        self._tell(result.summary.partition(" `card")[0] + (" Enter brings the one under the cursor." if self._found else ""))
        self._draw()

    def _draw(self) -> None:
        shown = self.query_one("#find-list", NamedList)
        shown.show([(name, _entry(item)) for name, item in self._found.items()])
        shown.border_title = f"Found {len(self._found)}" if self._found else "Found"
        if not self._found:
            self._shown = ""
            self._clear_card("")
            if shown.has_focus:
                self.action_query()  # Nothing can be chosen: the next word can be typed.

    # -- the card ----------------------------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: NamedList.OptionHighlighted) -> None:
        event.stop()
        if event.option.id and event.option.id != self._shown:
            self._read_soon(event.option.id)

    def _read_soon(self, name: str) -> None:
        self._shown = name
        if self._reading is not None:
            self._reading.ask("cancel")
        self.run_worker(self._read(name), group="card", exclusive=True, exit_on_error=False)

    async def _read(self, name: str) -> None:
        self._clear_card(name)
        await asyncio.sleep(QUIET / 2)
        engine = self._bridge.engine
        if engine is None or name not in self._found:
            return
        kind = f"{self._found[name]['kind']}s"
        self._reading = token = engine.token()
        try:
            result = await self._bridge.call(lambda: engine.run(engine.parse(f"card {name} --kind {kind}"), cancel=token))
        except Stopped:
            return
        except BitternError as error:
            self.query_one("#find-facts", Static).update(_wrong(error))
            return
        if name != self._shown:
            return
        self.query_one("#find-facts", Static).update(_facts(result.table.rows if result.table else [], result.summary, result.data))
        text = str(result.data["card"])
        more = "\n\n… the card goes on at the Hub." if len(text) > CARD_SHOWN else ""
        await self.query_one("#find-text", Markdown).update(clean(text[:CARD_SHOWN] + more))
        self.query_one("#find-card").scroll_home(animate=False)

    def _clear_card(self, name: str) -> None:
        self.query_one("#find-card").border_title = Content(one_line(name, 50)) if name else "Card"
        self.query_one("#find-facts", Static).update(Content.styled("Reading its card …" if name else "", "$text-muted"))
        self.query_one("#find-text", Markdown).update("")

    # -- keys --------------------------------------------------------------------------------------------------

    def on_option_list_option_selected(self, event: NamedList.OptionSelected) -> None:
        """Enter brings it; the job shows its bytes, and the search goes on."""
        event.stop()
        if event.option.id:
            self.app.post_message(RunLine(self._line(event.option.id), quiet=True))

    def _line(self, name: str) -> str:
        return f"{'add' if self._found[name]['kind'] == 'dataset' else 'pull'} {name}"

    def action_command(self) -> None:
        """The line in the chat box, to give it flags."""
        if name := self.query_one("#find-list", NamedList).chosen:
            self._close(lambda: self.app.post_message(FillBox(f"/{self._line(name)} ")))

    def action_query(self) -> None:
        self.query_one("#find-query").focus()

    def action_list(self) -> None:
        """Down, out of the words."""
        if self._found:
            self.query_one("#find-list").focus()

    def action_turn(self, what: str) -> None:
        self._find.turn(what)
        self._shown = ""  # the same name may be a model and a dataset
        self._draw_title()
        self._search_soon(0)

    def action_leave(self) -> None:
        box = self.query_one("#find-query", Input)
        if not box.has_focus and self._found:
            box.focus()
        else:
            self._close(lambda: None)

    def _close(self, then: Callable[[], Any]) -> None:
        self.dismiss()
        then()


def _entry(item: dict[str, Any]) -> Content:
    told = mark(item)
    return Content.assemble(
        (one_line(item["id"], 60), "bold"), (f"  {told}" if told else "", MARKS.get(told, "")), "\n  ", (one_line(about(item), 90), "$text-muted")
    )


def _facts(rows: list[list[str]], summary: str, data: dict[str, Any]) -> Content:
    width = max((cells(name) for name, _ in rows), default=0) + 2
    parts: list[Content | tuple[str, str] | str] = [(clean(summary), "$error" if data["refused"] else "$accent"), "\n"]
    for name, value in rows:
        style = {"does not fit": "$error", "tight": "$warning", "fits": "$success"}.get((data["fit"] or {}).get("verdict", ""), "")
        parts += ["\n", (pad(name, width), "$text-muted"), (one_line(value, 300), style if name == "memory" else "")]
    parts.append("\n")
    for name, size, taken in files(data):
        parts += ["\n", ("✓ " if taken else "  ", "$success"), (one_line(name, 70), "" if taken else "$text-muted"), (f"  {size}", "$text-muted")]
    return Content.assemble(*parts)


def _wrong(error: BitternError) -> Content:
    return Content.assemble((clean(error.message), "$error"), ("\n" + clean(error.hint) if error.hint else "", "$text"))
