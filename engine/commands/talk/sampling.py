"""How a conversation's answers are made: system prompt, sampling, presets, and how full the model's window is."""

from __future__ import annotations

from typing import Any

from engine.commands.base import Desk, Field, Now
from engine.commands.naming import check_name
from engine.commands.talk.speaking import SAMPLED, current, measure, settings_of
from engine.errors import BitternError
from engine.events import CatalogChanged
from engine.results import Result, Table


class SamplingFields(Now):
    """The fields that a conversation and a preset may set. What is left out stays as it is."""

    effect = "write"

    system: str | None = Field(None, description="A system prompt: what the model is told before everything else")
    temperature: float | None = Field(None, ge=0, le=5, description="0 is greedy; higher is more various (0.7)")
    top_p: float | None = Field(None, gt=0, le=1, description="Sample from the likeliest tokens that add up to this (0.9)")
    top_k: int | None = Field(None, ge=0, description="Sample from so many likeliest tokens; 0 means all (40)")
    min_p: float | None = Field(None, ge=0, lt=1, description="Leave out tokens less likely than this share of the likeliest (0)")
    repetition_penalty: float | None = Field(None, gt=0, description="Over 1: repeat less (1.05)")
    max_tokens: int | None = Field(None, ge=1, description="The longest answer, in tokens (512)")
    seed: int | None = Field(None, ge=0, description="The same seed gives the same answer")
    stop: list[str] = Field([], description="Stop before any of these texts")

    def onto(self, settings: dict[str, Any]) -> dict[str, Any]:
        """``settings`` with what is said here."""
        said = {name: value for name in SAMPLED if (value := getattr(self, name)) not in (None, [])}
        system = self.system if self.system is not None else settings.get("system", "")
        return {"system": system, "sampling": {**settings.get("sampling", {}), **said}}


class SetSampling(SamplingFields):
    """Set how this conversation is answered: its system prompt and its sampling. With nothing said, show it.

    It holds until it is set otherwise; what `chat` says itself goes before it, and it goes before the preset.
    """

    verb = "sampling"
    examples = ("sampling", "sampling --temperature 0 --max-tokens 200", 'sampling --system "Answer in one sentence."', "sampling --reset")
    completes = {"preset": "presets", "session": "sessions"}

    preset: str = Field("", description="Use this preset below what is set here")
    reset: bool = Field(False, description="First take back what was set, the preset too")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        session = current(desk, self.session)

        def change(settings: dict[str, Any]) -> None:
            if self.reset:
                for name in ("system", "sampling", "preset"):
                    settings.pop(name, None)
            settings.update(self.onto(settings))
            if self.preset:
                settings["preset"] = self.preset

        if self.preset:
            desk.workspace.presets.get(self.preset)
        changed = self.reset or bool(self.preset) or self.onto({}) != {"system": "", "sampling": {}} or self.system is not None
        if changed:
            desk.workspace.sessions.change(session, change)
            desk.publish(CatalogChanged(what="sessions", name=session))
        return _shown(desk, session)


class Preset(SamplingFields):
    """Use a preset in this conversation; with no name, list them. A preset is a system prompt and sampling under a name.

    --save keeps what holds in this conversation, and what is said here, under the name. --off stops using one.
    """

    verb = "preset"
    words = ("name",)
    completes = {"name": "presets", "session": "sessions"}
    examples = ("preset", 'preset terse --save --temperature 0 --system "Answer in one sentence."', "preset terse", "preset terse --forget")

    name: str = Field("", description="Which preset")
    save: bool = Field(False, description="Make it, or make it anew")
    forget: bool = Field(False, description="Remove it; conversations that use it go on without")
    off: bool = Field(False, description="Use none in this conversation")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        session, presets = current(desk, self.session), desk.workspace.presets
        if self.off:
            desk.workspace.sessions.change(session, lambda settings: settings.update(preset=""))
            desk.publish(CatalogChanged(what="sessions", name=session))
            return _shown(desk, session)
        if not self.name:
            return _listed(desk, session)
        if self.save:
            check_name("preset", self.name)
            presets.put(self.name, self.onto(settings_of(desk, session)))
        elif self.forget:
            presets.get(self.name)
            presets.forget(self.name)
            desk.publish(CatalogChanged(what="sessions", name=session))
            return Result(f"The preset {self.name} is removed.", {"preset": self.name, "removed": True})
        elif self.onto({}) != {"system": "", "sampling": {}}:
            raise BitternError(
                "Settings are said, but not what becomes of them.", f"preset {self.name} --save keeps them; `sampling` sets them here."
            )
        else:
            presets.get(self.name)

        def use(settings: dict[str, Any]) -> None:
            # Its own settings would hide the preset's.
            settings.update(preset=self.name, system="", sampling={})

        desk.workspace.sessions.change(session, use)
        desk.publish(CatalogChanged(what="sessions", name=session))
        return _shown(desk, session)


class Context(Now):
    """Say how full the model's window is: what the next question would be sent with, and what no longer fits.

    Loads the model where it is not loaded.
    """

    verb = "context"
    effect = "compute"
    examples = ("context", "context --model smollm2-tickets")
    completes = {"model": "models", "session": "sessions"}

    model: str = Field("", description="Which model (the one in use)")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        session = current(desk, self.session)
        settings = settings_of(desk, session)
        path = desk.workspace.sessions.messages(session, 100_000)
        with desk.models.use(self.model) as backend:
            found = measure(backend, settings["system"], path, int(settings["sampling"].get("max_tokens", 512)))
            name = backend.facts.name
        if not found:
            raise BitternError(f"{name} does not say how long a text is.", "Its own server may tell.")
        dropped = (
            f" The oldest {found['dropped']} messages no longer fit and are not sent." if found["dropped"] else " Everything said so far is sent."
        )
        told = f"{found['used']:,} of {found['window']:,} tokens; {found['room']:,} are kept for the answer.{dropped}"
        return Result(told, {"session": session, "model": name, **found})


def _shown(desk: Desk, session: str) -> Result:
    settings = settings_of(desk, session)
    rows = [[name.replace("_", " "), _told(value)] for name, value in settings["sampling"].items()]
    if settings["preset"]:
        rows.insert(0, ["preset", settings["preset"]])
    if settings["system"]:
        rows.append(["system", settings["system"]])
    told = f"{session} is answered with these settings." if rows else f"{session} is answered as a model is by default."
    return Result(told, {"session": session, **settings}, Table(["", ""], rows) if rows else None)


def _listed(desk: Desk, session: str) -> Result:
    found, used = desk.workspace.presets.all(), settings_of(desk, session)["preset"]
    rows = [
        ["*" if name == used else "", name, " ".join(f"{key.replace('_', '-')} {_told(value)}" for key, value in preset["sampling"].items()), preset["system"][:120]]
        for name, preset in found
    ]  # fmt: skip
    told = (
        f"{len(found)} preset{'' if len(found) == 1 else 's'}." if found else "There is no preset yet. Make one: preset NAME --save --temperature 0"
    )
    data = {"used": used, "presets": [{"name": name, **preset} for name, preset in found]}
    return Result(told, data, Table(["", "name", "sampling", "system"], rows) if rows else None)


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
