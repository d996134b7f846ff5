"""Forms and dialogs: what the app asks before it does something, and the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import BitternError
from tui.text import clean

if TYPE_CHECKING:
    from textual.app import App

    from engine.commands.training.outlook import Outlook
    from tui import messages
    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.catalog import CatalogState
    from tui.talk import Talk

    Base = App[int]
else:
    Base = object


class Asking(Base):
    """The part of the app that asks."""

    bridge: Bridge
    catalog: CatalogState
    talk: Talk
    parts: Parts

    if TYPE_CHECKING:
        # The app has these.
        def action_go(self, panel: str) -> None: ...

        async def verbs(self) -> list[tuple[str, str]]: ...

    def on_ask_train(self, event: messages.AskTrain) -> None:
        self.run_worker(self.open_train_form(event.base, event.dataset))

    async def open_train_form(self, base: str = "", dataset: str = "") -> None:
        """The form for ``train``, with what is chosen or in use filled in."""
        from engine.commands.describe import fields
        from engine.commands.registry import command
        from tui.screens.train_form import TrainForm

        def finished(line: str | None) -> None:
            if line:
                self.run_worker(self.talk.run(line, quiet=True))
                self.action_go("jobs")

        cls = await self.bridge.call(lambda: command("train"))
        names = {"datasets": [item.name for item in self.catalog.datasets], "models": [item.name for item in self.catalog.models]}
        given = {"base": base or self.catalog.model, "on": dataset or self.catalog.dataset}

        async def memory(line: str) -> str:
            if (engine := self.bridge.engine) is None:
                return ""
            told = await self.bridge.call(lambda: (engine.training_memory(line), engine.training_lengths(line)))
            return "\n".join(part for part in told if part)

        async def outlook(line: str) -> Outlook | None:
            engine = self.bridge.engine
            return await self.bridge.call(lambda: engine.training_outlook(line)) if engine else None

        self.push_screen(TrainForm(cls, fields(cls), names, given, memory, self.show_mask, outlook), finished)

    async def show_mask(self, values: dict[str, Any]) -> None:
        """The tokens of the rows that a form for ``train`` names, once a job has read them."""
        from engine.commands.registry import command
        from tui.screens.mask import MaskScreen

        engine = self.bridge.engine
        if engine is None:
            return
        asked = {name: values[name] for name in ("split", "max_length") if name in values}
        try:
            cls = await self.bridge.call(lambda: command("mask"))
            request = cls.model_validate({"dataset": values["on"], "model": values["base"], **asked})
            job = str((await self.bridge.call(lambda: engine.run(request))).data["job"])
        except BitternError as error:
            self.notify(clean(f"{error.message} {error.hint}"), title="mask", severity="warning", markup=False)
            return
        self.push_screen(MaskScreen(self.bridge, job))

    def on_ask_sure(self, event: messages.AskSure) -> None:
        from tui.screens.ask import AskScreen

        def finished(answer: str | None) -> None:
            if answer == "yes":
                self.run_worker(self.talk.run(event.line, quiet=True))

        self.push_screen(AskScreen("Sure?", event.question, (("yes", event.yes), ("no", "Leave it")), first=1), finished)

    async def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(await self.verbs()))

    def choose_verb(self, verb: str) -> None:
        """A verb was chosen in the palette: run it, or let the person fill in its words."""
        from engine.commands.registry import VERBS, command

        if verb in VERBS and verb != "train" and any(field.is_required() for field in command(verb).model_fields.values()):
            self.parts.box.put(f"/{verb} ")
            self.parts.box.focus()
        else:
            self.run_worker(self.talk.say(f"/{verb}"))
