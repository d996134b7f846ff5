"""What a typed line becomes: a Command for the engine, or something that only the screen does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine.errors import BitternError, explain

if TYPE_CHECKING:
    from engine.commands.base import Command
    from tui.app import BitternApp

log = logging.getLogger(__name__)
SCREEN_VERBS = {
    "help": "Keys and commands; /help VERB explains one",
    "mode": "Plain text asks the dataset, or chats with the model",
    "tour": "Walk through the main job, step by step",
    "quit": "Leave; running jobs can go on in the background",
}


class Talk:
    """Hands lines to the engine and what comes of them to the conversation."""

    def __init__(self, app: BitternApp) -> None:
        self._app = app

    async def say(self, text: str) -> None:
        """A line from the chat box: a Command after a slash, else a question or a word to the model."""
        chat = self._app.chat
        if text.startswith("/") and text[1:].strip():
            verb, _, rest = text[1:].strip().partition(" ")
            if verb in SCREEN_VERBS:
                await self._screen_verb(verb, rest.strip())
                return
            if verb == "train" and not rest.strip():
                await self._app.open_train_form()
                return
            await self._app.draw_chat([chat.add("user", text)])
            await self.run(text)
            return
        await self._app.draw_chat([chat.add("user", text)])
        mode = chat.mode
        await self._dispatch(lambda: _of_text(mode, text), text)

    async def run(self, line: str, *, quiet: bool = False) -> None:
        """Run a line of the grammar."""
        await self._dispatch(lambda: self._app.engine.parse(line), line, quiet=quiet)

    async def _dispatch(self, make: object, line: str, *, quiet: bool = False) -> None:
        app = self._app
        if app.bridge.engine is None:
            app.fail(BitternError("The workspace is still being opened.", "Try again in a moment."))
            return
        try:
            command: Command = await app.bridge.call(make)  # type: ignore[arg-type]
        except Exception as error:
            # The top of a request: whatever a Command's module raises is told, and the log has the rest.
            if not isinstance(error, BitternError):
                log.exception("%s could not be read", line)
            app.fail(explain(error))
            return
        ticket = app.engine.dispatch(command)
        if quiet:
            app.chat.begin_quietly(ticket)
        elif message := app.chat.begin(ticket, command.verb):
            await app.draw_chat([message])

    async def _screen_verb(self, verb: str, rest: str) -> None:
        app = self._app
        if verb == "quit":
            await app.action_quit()
        elif verb == "mode":
            app.action_mode()
        elif verb == "tour":
            await app.action_tour()
        elif not rest:
            await app.action_help()
        else:
            from engine.commands.describe import help_text
            from engine.commands.registry import command

            await app.draw_chat([app.chat.add("user", f"/help {rest}")])
            try:
                text = await app.bridge.call(lambda: help_text(command(rest.removeprefix("/"))))
            except BitternError as error:
                app.fail(error)
                return
            await app.draw_chat([app.chat.add("note", text, verb="help")])


def _of_text(mode: str, text: str) -> Command:
    from engine.commands.registry import command

    cls = command(mode)
    return cls(**{cls.words[-1]: text})
