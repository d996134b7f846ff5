"""A text as tokens while it is typed: coloured pieces, numbers and bytes, for one tokenizer or two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from engine.errors import BitternError
from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.bridge import Bridge

STYLES = ("on $primary 30%", "on $secondary 30%")
"""Neighbouring tokens differ in their ground, so that their ends can be seen."""
SHOWN = 400
"""Tokens that are drawn."""


class TokensScreen(ModalScreen[None]):
    """``name`` are one or two names of models or tokenizers, with a comma between them."""

    CSS = """
    TokensScreen { align: left top; background: $background; }
    #tokens-text { height: 7; border: round $border-blurred; background: $background; }
    #tokens-text:focus { border: round $primary; }
    #tokens-sides { height: 1fr; }
    TokensScreen VerticalScroll { width: 1fr; height: 1fr; border: round $border-blurred; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f7", "bytes", "Pieces/bytes", priority=True),
        Binding("f8", "special", "Tokens around", priority=True),
        Binding("escape", "dismiss", "Back", priority=True),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self._names = name.split(",")[:2]
        self._asked = 0
        self._bytes = self._special = False
        self.found: list[dict[str, Any]] = []
        """The newest answer: one for each tokenizer, as ``tokens`` tells it."""

    def compose(self) -> ComposeResult:
        yield TextArea(id="tokens-text", soft_wrap=True)
        with Horizontal(id="tokens-sides"):
            for _ in self._names:
                with VerticalScroll():
                    yield Static(markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.border_title = "Text"
        for name, side in zip(self._names, self.query(VerticalScroll), strict=True):
            side.border_title = Content(one_line(name, 40))
        area.focus()

    def on_text_area_changed(self) -> None:
        self._ask()

    def action_bytes(self) -> None:
        self._bytes = not self._bytes
        self._draw()

    def action_special(self) -> None:
        self._special = not self._special
        self._ask()

    def _ask(self) -> None:
        self._asked += 1
        self.run_worker(self._look(self.query_one(TextArea).text, self._asked), exit_on_error=False)

    async def _look(self, text: str, asked: int) -> None:
        """The tokens of what stands there; only the answer to the newest text is drawn."""
        engine = self._bridge.engine
        if engine is None:
            return
        from engine.commands.registry import command

        values = {"text": text, "model": self._names[0], "with_": self._names[1] if len(self._names) > 1 else "", "special": self._special}
        found: list[dict[str, Any]] = []
        if text:
            try:
                request = command("tokens").model_validate(values)
                answer = await self._bridge.call(lambda: engine.run(request) if asked == self._asked else None)
            except BitternError as error:
                self.notify(clean(str(error)), severity="error", markup=False)
                return
            if answer is None:
                return
            found = answer.data["tokenizers"]
        if asked == self._asked:
            self.found = found
            self._draw()

    def _draw(self) -> None:
        for at, side in enumerate(self.query(VerticalScroll)):
            one = self.found[at] if at < len(self.found) else None
            side.query_one(Static).update(_drawn(one, as_bytes=self._bytes) if one else Content(""))


def _drawn(one: dict[str, Any], *, as_bytes: bool) -> Content:
    """The figures, the text in coloured tokens, and the list of them."""
    parts: list[Content | tuple[str, str] | str] = [
        (f"{one['count']:,} tokens", "bold"), f"   {one['tokens_a_word']:.2f} a word   {one['bytes_a_token']:.2f} bytes a token   of {one['vocabulary']:,}\n\n",
    ]  # fmt: skip
    tokens = one["tokens"][:SHOWN]
    for number, token in enumerate(tokens):
        shown = f"«{token['piece']}»" if token["special"] else token["text"].replace("\n", "↵\n")
        parts.append((clean(shown), "bold $warning" if token["special"] else STYLES[number % 2]))
    parts.append("\n\n")
    for number, token in enumerate(tokens):
        piece = f"«{token['piece']}»" if token["special"] else token["piece"]
        parts += [(f"{number:>4} {token['id']:>7}  ", "$text-muted"), (one_line(piece, 24).ljust(25), "bold $warning" if token["special"] else "")]
        parts += [(token["bytes"] if as_bytes else one_line(token["text"].replace(" ", "␣").replace("\n", "↵"), 30), "$text-muted"), "\n"]
    if one["count"] > SHOWN:
        parts.append(f"… and {one['count'] - SHOWN:,} more")
    return Content.assemble(*parts)
