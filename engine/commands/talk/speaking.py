"""What Commands that let a model speak share: how its answer is chosen, what it is sent, and keeping what it says."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.commands.talk.forms import remarks, value_of
from engine.commands.talk.turns import turns
from engine.errors import BitternError, DiskFull
from engine.events import PromptRead, TokenDelta
from engine.inference.protocol import Sampling
from engine.results import Result
from engine.store.sessions import MessageRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.inference.protocol import Backend, Message, Tool
    from engine.store.sessions import SessionTable

KEEP_EVERY = 1.0
"""Seconds between two writings of an answer that is coming: a killed process loses no more of it."""
SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed", "stop")
"""The fields of ``Sampling`` that a conversation and a preset may set."""


class Sampled(Now):
    """A Command that a model answers with words: how they are chosen."""

    effect = "compute"
    rest = True
    streams = True

    model: str = Field("", description="Which model (the one in use)")
    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy; higher is more various")
    top_p: float = Field(0.9, gt=0, le=1, description="Sample from the likeliest tokens that add up to this")
    top_k: int = Field(40, ge=0, description="Sample from so many likeliest tokens; 0 means all")
    min_p: float = Field(0.0, ge=0, lt=1, description="Leave out tokens less likely than this share of the likeliest")
    repetition_penalty: float = Field(1.05, gt=0, description="Over 1: repeat less")
    max_tokens: int = Field(512, ge=1, description="The longest answer, in tokens")
    seed: int | None = Field(None, ge=0, description="The same seed gives the same answer")
    stop: list[str] = Field([], description="Stop before any of these texts")

    def sampled(self) -> Sampling:
        """How tokens are chosen, by these fields and no conversation's."""
        values: dict[str, Any] = {name: getattr(self, name) for name in SAMPLED}
        return Sampling(**{**values, "stop": tuple(self.stop)})


class Speaks(Sampled):
    """The fields of every Command that a conversation's model answers. What is not said comes from the conversation, then from
    its preset, then from these defaults."""

    def sampling(self, settings: dict[str, Any], **more: Any) -> Sampling:
        """How tokens are chosen: what was said here, else what ``settings`` say. ``more`` are other fields."""
        chosen = {name: getattr(self, name) for name in SAMPLED if name in self.model_fields_set or name not in settings["sampling"]}
        values: dict[str, Any] = {**settings["sampling"], **chosen, **more}
        ready: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return Sampling(**ready)


def current(desk: Desk, name: str = "") -> str:
    """The conversation that is meant: the one named, or the one in use."""
    return name or desk.workspace.recall("session", "main")


def settings_of(desk: Desk, session: str) -> dict[str, Any]:
    """``system``, ``preset`` and ``sampling`` of a conversation, its preset's where it has none of its own."""
    own = desk.workspace.sessions.settings(session)
    preset = (desk.workspace.presets.find(own["preset"]) if own.get("preset") else None) or {}
    return {
        "system": own.get("system") or preset.get("system", ""),
        "preset": own.get("preset", "") if preset else "",
        "sampling": {**preset.get("sampling", {}), **own.get("sampling", {})},
    }


@dataclass(frozen=True, slots=True)
class Sent:
    """What a model is sent: ``messages``; ``dropped`` are how many of the oldest messages did not fit, ``first`` is the
    id of the oldest that did (0: the conversation begins with what is said now)."""

    messages: list[Message]
    dropped: int = 0
    first: int = 0


def fit(backend: Backend, system: str, history: list[MessageRecord], room: int, begun: str = "") -> Sent:
    """The conversation, without its oldest turns where it would not leave ``room`` tokens for the answer; ``begun`` is an
    answer to go on with, to the letter.

    The last question always goes along: the model says itself when that alone is too long.
    """
    opening: list[Message] = [{"role": "system", "content": system}] if system else []
    closing: list[Message] = [{"role": "assistant", "content": begun}] if begun else []
    said = turns(history)
    starts = [at for at, (_, message) in enumerate(said) if message["role"] == "user"] or [0]
    limit = backend.facts.context - min(room, backend.facts.context // 2)

    def from_(start: int) -> list[Message]:
        return [*opening, *(message for _, message in said[start:]), *closing]

    low, high = 0, len(starts) - 1
    if high > 0 and backend.count(from_(starts[0])) <= limit:
        high = 0
    while low < high:  # the earliest turn from which on everything fits
        middle = (low + high) // 2
        if backend.count(from_(starts[middle])) <= limit:
            high = middle
        else:
            low = middle + 1
    first = said[starts[low]][0] if said else 0
    dropped = next((at for at, record in enumerate(history) if record.id == first), 0)
    return Sent(from_(starts[low]), dropped, first)


@dataclass(slots=True)
class Kept:
    """An answer that is written down while it comes."""

    sessions: SessionTable
    under: MessageRecord
    facts: dict[str, Any]
    text: str = ""
    id: int = 0
    written: str = ""
    _at: float = -KEEP_EVERY

    def take(self, piece: str) -> None:
        """The next piece; from time to time all of it is written. On a full disk the answer goes on all the same."""
        self.text += piece
        if time.monotonic() - self._at > KEEP_EVERY:
            self._at = time.monotonic()
            with suppress(DiskFull):
                self.write()

    def end(self, **facts: Any) -> None:
        """Write all of it, for the last time. Raises ``DiskFull``."""
        try:
            self.write(**facts)
        except DiskFull as full:
            how = "only a part of it is kept" if self.id else "it is not kept"
            raise DiskFull(f"The answer came, but {how}. {full.message}", "Free some space, then `regenerate` answers again.") from None

    def write(self, **facts: Any) -> None:
        """Write what there is. Where another process has written in the same place, this becomes an answer beside it."""
        self.facts |= facts
        if not self.id or not self.sessions.write(self.id, self.written, self.text, self.facts):
            self.id = self.sessions.add(MessageRecord("", "assistant", self.text, self.facts, parent=self.under.id))
        self.written, self._at = self.text, time.monotonic()


def speak(
    desk: Desk,
    backend: Backend,
    settings: dict[str, Any],
    sampling: Sampling,
    under: MessageRecord,
    begun: MessageRecord | None = None,
    tools: Sequence[Tool] = (),
) -> Result:
    """Let the model answer the question ``under``, or go on with the answer ``begun``, and keep what it says. It may call the
    ``tools``, or those that went along with the question.

    Raises ``ModelError``, whatever was said until then is kept; ``DiskFull`` once the answer was heard.
    """
    sessions = desk.workspace.sessions
    tools = tools or under.facts.get("tools", ()) if begun is None else ()
    sent = fit(backend, settings["system"], sessions.path(under.id), sampling.max_tokens, begun.text if begun else "")
    kept = Kept(sessions, under, {**(begun.facts if begun else {}), "kind": "chat", "model": backend.facts.name, "usage": {}})
    if begun:
        kept.id, kept.text, kept.written = begun.id, begun.text, begun.text
    backend.reading = lambda read: desk.emit(PromptRead(done=read.done, total=read.total))
    try:
        for piece in backend.stream(sent.messages, sampling, desk.cancel, tools):
            kept.take(piece)
            desk.emit(TokenDelta(text=piece))
    except BaseException:
        if kept.id:
            with suppress(DiskFull):  # What went wrong first is what a person is told.
                kept.write(usage={**asdict(backend.usage), "finish": "error"})
        raise
    usage, said = asdict(backend.usage), remarks(backend, sampling)
    if kept.id or kept.text or backend.calls:
        kept.end(usage=usage, remarks=said, calls=list(backend.calls))
        context = measure(backend, settings["system"], sessions.path(kept.id), sampling.max_tokens)
        with suppress(DiskFull):  # Only a figure: the answer is kept.
            kept.write(usage=usage, context=context)
    data = {
        "answer": kept.text,
        "model": backend.facts.name,
        "usage": usage,
        **told(desk, kept.id or under.id),
        "context": kept.facts.get("context", {}),
        "remarks": said,
    }
    if tools:
        data["calls"] = list(backend.calls)
    if sampling.schema is not None:
        data["value"] = value_of(kept.text)
    return Result(said, data)


def told(desk: Desk, message: int) -> dict[str, Any]:
    """Where a message stands: ``session``, ``message``, ``under`` (the one above), the ``siblings`` of both, and the names
    of what was ``attached`` to the one above."""
    *above, record = desk.workspace.sessions.path(message, 2)
    question = above[0] if above else record
    return {
        "session": record.session, "message": record.id, "under": record.parent, "siblings": list(record.siblings),
        "under_siblings": list(question.siblings), "attached": [item["name"] for item in question.facts.get("attached", [])],
    }  # fmt: skip


def measure(backend: Backend, system: str, history: list[MessageRecord], room: int) -> dict[str, Any]:
    """How full the model's window is for the next question: ``used`` and ``window`` in tokens, ``room`` kept for the
    answer, and how many of the oldest messages are ``dropped``, the first that is sent having the id ``first``. Empty where
    it can't be known."""
    with suppress(BitternError, OSError):
        next_one = MessageRecord("", "user", "…", id=-1)
        sent = fit(backend, system, [*history, next_one], room)
        first = sent.first if sent.first > 0 else 0
        window = backend.facts.context
        return {"used": backend.count(sent.messages), "window": window, "room": min(room, window // 2), "dropped": sent.dropped, "first": first}
    return {}
