"""A box for a token or a key, which is never shown and goes nowhere but to whom it is for and its own store."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.errors import BitternError, explain
from tui.text import clean

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.bridge import Bridge

FOR_HUB = "Paste an access token of your account at the Hub (Settings, Access Tokens; “read” is enough). Enter checks it."
FOR_SERVER = "Paste the server's key: it is tried, and kept in the keyring. Enter alone takes the one that is there."


class SignInScreen(ModalScreen[str]):
    """Asks for what ``line``, a Command, needs, and runs it. Dismissed with what came of it, or an empty string."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", priority=True)]

    def __init__(self, bridge: Bridge, line: str = "login") -> None:
        super().__init__()
        self._bridge, self._line = bridge, line

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Sign in at the Hub" if self._line == "login" else "The server's key"
            yield Static(FOR_HUB if self._line == "login" else FOR_SERVER, markup=False, id="sign-in-told")
            yield Input(password=True, id="sign-in-token", placeholder="hf_…" if self._line == "login" else "")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        token = event.value.strip()
        event.input.value = ""
        if (token or self._line != "login") and self._bridge.engine is not None:
            self._tell("Checking …", "$text-muted")
            self.run_worker(self._check(token), exclusive=True, exit_on_error=False)

    async def _check(self, token: str) -> None:
        engine = self._bridge.engine
        if engine is None:
            return
        try:
            result = await self._bridge.call(lambda: engine.run(engine.parse(self._line), secret=token))
        except Exception as error:
            known = error if isinstance(error, BitternError) else explain(error)
            self._tell(f"{known.message} {known.hint}".strip(), "$error")
        else:
            self.dismiss(result.summary)

    def _tell(self, text: str, style: str) -> None:
        self.query_one("#sign-in-told", Static).update(Content.styled(clean(text), style))

    def action_leave(self) -> None:
        self.dismiss("")
