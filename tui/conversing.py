"""The conversation on the screen: turned to another branch or session, put anew, tuned, with things attached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError, explain
from tui.text import one_line

if TYPE_CHECKING:
    from textual.app import App

    from engine.commands.lengths import Lengths
    from engine.engine import Engine
    from tui import messages
    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.catalog import CatalogState
    from tui.state.chat import ChatState
    from tui.talk import Talk
    from tui.widgets.chatbox import ChatBox
    from tui.widgets.chips import Chip

    Base = App[int]
else:
    Base = object

HISTORY_SHOWN = 40


class Conversing(Base):
    """The part of the app that minds which conversation is shown, and the dialogs about it."""

    bridge: Bridge
    chat: ChatState
    catalog: CatalogState
    parts: Parts
    talk: Talk

    if TYPE_CHECKING:
        # The app has these.
        @property
        def engine(self) -> Engine: ...

        def draw_mode(self) -> None: ...

        def fail(self, error: BitternError) -> None: ...

        def said(self, event: ChatBox.Sent) -> None: ...

        async def measure(self, texts: list[str]) -> Lengths | None: ...

    def __init__(self) -> None:
        super().__init__()
        self.preset = ""
        self._session = ""
        self._turning = asyncio.Lock()

    async def turn_page(self) -> None:
        """Show the conversation as it stands in the workspace, if it is not shown so already."""
        engine = self.bridge.engine
        if engine is None:
            return

        def look() -> tuple[str, list[Any], dict[str, Any]]:
            session = engine.current("session") or "main"
            return session, engine.history(session), engine.workspace.sessions.settings(session)

        async with self._turning:
            session, history, settings = await self.bridge.call(look)
            chat, other = self.chat, session != self._session
            ids = [record.id for record in history[-HISTORY_SHOWN:]]
            count = min(len(ids), len(chat.shown)) or 1
            if other or (not chat.busy and (chat.astray or ids[-count:] != chat.shown[-count:])):
                chat.turn(history[-HISTORY_SHOWN:], keep_error=not other, keep_said=not self._session)
                self._session = session
                await self.parts.chat.reset(chat)
            self.preset = str(settings.get("preset") or "")
            attached = settings.get("attached", [])
            await self.parts.chips.show([str(item.get("name", "")) for item in attached])
            if found := await self.measure([str(item.get("text", "")) for item in attached]):
                self.parts.chips.tell(found.tokens)
            self.draw_mode()

    # -- dialogs -----------------------------------------------------------------------------------------------

    async def ask_engine(self, verb: str, values: dict[str, Any]) -> dict[str, Any]:
        """The data of a Command's Result. Raises ``BitternError``."""
        from engine.commands.registry import command

        engine = self.engine
        try:
            return (await self.bridge.call(lambda: engine.run(command(verb)(**values)))).data
        except Exception as error:
            raise explain(error) from None

    def action_sessions(self) -> None:
        from tui.screens.sessions import SessionsScreen

        if self.bridge.engine is not None:
            self.push_screen(SessionsScreen(self.ask_engine), self._run_quietly)

    async def action_sampling(self) -> None:
        """The form for the system prompt and the sampling of this conversation."""
        from engine.commands.describe import fields
        from engine.commands.registry import command
        from tui.screens.sampling import SamplingForm

        if (engine := self.bridge.engine) is None:
            return

        def look() -> tuple[Any, Any, list[str], dict[str, Any]]:
            cls = command("sampling")
            session = engine.current("session") or "main"
            return cls, fields(cls), engine.names("presets"), engine.workspace.sessions.settings(session)

        cls, views, presets, settings = await self.bridge.call(look)
        own = {**settings.get("sampling", {}), "system": settings.get("system", ""), "preset": settings.get("preset", "")}
        given = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in own.items() if value not in ("", [], None)}
        shown = [view for view in views if view.name not in ("reset", "session")]

        async def prompt(line: str) -> str:
            """How long the system prompt of a filled-in form is."""
            system = (await self.bridge.call(lambda: engine.parse(line))).model_dump().get("system")
            found = await self.measure([system] if system else [])
            if found is None:
                return ""
            return f"The system prompt has {found.tokens[0]:,} of the {found.window:,} tokens that {found.model} reads."

        self.push_screen(SamplingForm(cls, shown, {"presets": presets}, given, prompt), self._run_quietly)

    async def on_show_branches(self) -> None:
        from tui.screens.branches import BranchesScreen

        def finished(message: int | None) -> None:
            if message:
                self._run_quietly(f"branch {message}")

        try:
            data = await self.ask_engine("branch", {})
        except BitternError as error:
            self.fail(error)
            return
        self.push_screen(BranchesScreen(data["messages"]), finished)

    def on_revise_message(self, event: messages.ReviseMessage) -> None:
        from tui.screens.edit import EditScreen

        def finished(text: str | None) -> None:
            if text and text.strip() and text != event.text:
                # After the focus is back on the message, which brings that into sight.
                self.call_after_refresh(self.parts.chat.to_end)
                self.run_worker(self.talk.put("revise", {"message": str(event.id), "text": text.strip()}))

        self.push_screen(EditScreen("Put it anew (what was said stays as a branch)", event.text), finished)

    def _run_quietly(self, line: str | None) -> None:
        if line:
            self.run_worker(self.talk.run(line, quiet=True))

    # -- attachments -------------------------------------------------------------------------------------------

    def on_chip_removed(self, event: Chip.Removed) -> None:
        self.run_worker(self.talk.run_verb("attach", {"remove": event.number}, told=False))

    def on_chat_box_erased(self) -> None:
        """Backspace in the empty box takes off what was attached last."""
        if names := self.parts.chips.names:
            self.notify(f"{one_line(names[-1], 60)} does not go along.", markup=False, timeout=3)
            self.run_worker(self.talk.run_verb("attach", {"remove": len(names)}, told=False))
