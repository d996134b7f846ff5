"""What a typed line becomes: a Command for the engine, or something that only the screen does."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

from engine import events
from engine.errors import BitternError, Repair, explain
from tui import messages
from tui.text import clean, one_line

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
        self._touring = False
        self._in_turn = asyncio.Lock()

    async def say(self, text: str) -> None:
        """A line from the chat box: a Command after a slash, else a question or a word to the model."""
        chat = self._app.chat
        if text.startswith("/") and text[1:].strip():
            verb, _, rest = text[1:].strip().partition(" ")
            if verb in SCREEN_VERBS:
                await self._screen_verb(verb, rest.strip())
                return
            if verb == "login":
                self._app.parts.box.forget(text)  # it may hold a token
                self._app.sign_in()
                return
            if verb == "connect" and "--key-from-keyring" in rest.split():
                self._app.sign_in(text[1:].strip())
                return
            if verb == "find" and not rest.strip():
                await self._app.open_address("find:models")
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

    async def put(self, verb: str, values: dict[str, Any]) -> None:
        """Run a Command made of values, its answer in the conversation."""
        from engine.commands.registry import command

        await self._dispatch(lambda: command(verb)(**values), verb)

    async def run_verb(self, verb: str, values: dict[str, Any], *, told: bool) -> None:
        """Run a Command made of values; one after the other, in the order they were asked for."""
        from pydantic import ValidationError

        from engine.commands.registry import command

        app = self._app
        async with self._in_turn:
            try:
                result = await app.bridge.call(lambda: app.engine.run(command(verb)(**values)))
            except ValidationError as error:
                app.notify(one_line(error.errors()[0]["msg"].removeprefix("Value error, "), 200), title=f"{verb}", severity="error", markup=False)
            except Exception as error:
                if not isinstance(error, BitternError):
                    log.exception("%s failed", verb)
                known = explain(error)
                app.notify(clean(str(known)), title=known.title, severity="error", markup=False)
            else:
                if told and result.summary:
                    app.notify(one_line(result.summary, 200), markup=False, timeout=4)

    def tell(self, event: events.CallFinished) -> None:
        """The end of a Command that was asked for by a key: a word in the corner."""
        if event.error:
            self._app.notify(
                clean(f"{event.error['message']} {event.error.get('hint', '')}"), title=event.error["title"], severity="error", markup=False
            )
        elif event.result and event.result.get("summary"):
            self._app.notify(one_line(event.result["summary"], 200), markup=False, timeout=4)

    def tell_end(self, event: events.Event) -> None:
        """A job is over: a word in the corner, or its error in the conversation."""
        if isinstance(event, events.JobFinished):
            self._app.notify(one_line(event.summary, 200), title=f"Job {event.job} is done", markup=False)
            self._app.run_worker(self._app.job_answered(event.job), exit_on_error=False)
        elif isinstance(event, events.JobFailed):
            go_on = "" if event.repairs else f"Go on with /resume {event.job}."
            repairs = [Repair(repair["label"], repair["line"]) for repair in event.repairs]
            told = BitternError(f"Job {event.job} failed: {event.message}", f"{event.hint} {go_on}".strip(), repairs)
            told.title = event.title
            self._app.fail(told)

    async def completions(self, text: str) -> list[tuple[str, str]]:
        """What the last word of a slash line may become; nothing when it is whole already."""
        try:
            found = await self._app.bridge.call(lambda: self._app.engine.complete(text))
        except Exception:
            log.exception("no completion for %r", text)
            found = []
        if " " not in text:
            found = [*found, *((verb, told) for verb, told in SCREEN_VERBS.items() if verb.startswith(text[1:]))]
        whole = len(found) == 1 and text.rsplit(" ", maxsplit=1)[-1].removeprefix("/") == found[0][0]
        return [] if whole else found

    async def verbs(self) -> list[tuple[str, str]]:
        """Every verb with its help."""
        from engine.commands.describe import overview

        return [*(await self._app.bridge.call(overview)), *SCREEN_VERBS.items()]

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
            if not quiet:
                app.show_chat()
            app.fail(explain(error))
            return
        if command.verb == "versus" and getattr(command, "text", "").strip() and not getattr(command, "on", ""):
            await app.compare(command)
            return
        ticket = app.engine.dispatch(command)
        if quiet:
            app.chat.begin_quietly(ticket)
        elif message := app.chat.begin(ticket, command.verb, str(getattr(command, "message", "")), str(getattr(command, "text", ""))):
            await app.draw_chat(app.chat.messages[-2:] if command.verb == "revise" else [message])

    async def _screen_verb(self, verb: str, rest: str) -> None:
        app = self._app
        if verb == "quit":
            await app.action_quit()
        elif verb == "mode":
            app.action_mode()
        elif verb == "tour":
            await self._tour()
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

    async def _tour(self) -> None:
        """Walk the main job on a thread; each step becomes an entry as it is told."""
        app = self._app
        if app.bridge.engine is None:
            app.fail(BitternError("The workspace is still being opened.", "Try again in a moment."))
            return
        if self._touring:
            app.notify("The tour is under way.", markup=False)
            return
        await app.draw_chat([app.chat.add("user", "/tour")])
        self._touring = True
        engine = app.engine

        def walk() -> None:
            try:
                from engine.tour import steps

                for step in steps(engine):
                    app.post_message(messages.Told(step.says or f"{step.number}. {step.title}"))
            except Exception as error:
                # The top of a thread: whatever a step raises is told, and the log has the rest.
                if not isinstance(error, BitternError):
                    log.exception("the tour stopped")
                app.post_message(messages.Told("", explain(error)))
            self._touring = False

        # A tour takes minutes, so it has a thread of its own, which does not keep the screen from closing.
        threading.Thread(target=walk, name="tour", daemon=True).start()


def _of_text(mode: str, text: str) -> Command:
    from engine.commands.registry import command

    cls = command(mode)
    return cls(**{cls.words[-1]: text})
