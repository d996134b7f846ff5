"""Talking to a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.commands.base import Desk, Field, Now
from engine.errors import BitternError
from engine.events import CatalogChanged, TokenDelta, now
from engine.results import Result
from engine.store.sessions import MessageRecord

if TYPE_CHECKING:
    from engine.inference.protocol import Backend, Message


class Chat(Now):
    """Say something to the model in use, or to another, and read its answer as it comes.

    The conversation so far goes along, as much of it as fits the model's context; `clear` starts a new one.
    """

    verb = "chat"
    effect = "compute"
    words = ("text",)
    rest = True
    streams = True
    examples = ("chat Write a haiku about herons", "chat --model smollm2-tickets --temperature 0 Where is my card?",
                "chat --choices yes,no Is a heron a bird?")  # fmt: skip
    completes = {"model": "models"}

    text: str = Field(min_length=1, description="What to say")
    model: str = Field("", description="Which model (the one in use)")
    system: str = Field("", description="A system prompt")
    session: str = Field("", description="Which conversation (the current one)")
    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy; higher is more various")
    top_p: float = Field(0.9, gt=0, le=1, description="Sample from the likeliest tokens that add up to this")
    top_k: int = Field(40, ge=0, description="Sample from so many likeliest tokens; 0 means all")
    min_p: float = Field(0.0, ge=0, lt=1, description="Leave out tokens less likely than this share of the likeliest")
    repetition_penalty: float = Field(1.05, gt=0, description="Over 1: repeat less")
    max_tokens: int = Field(512, ge=1, description="The longest answer, in tokens")
    seed: int | None = Field(None, ge=0, description="The same seed gives the same answer")
    choices: list[str] = Field([], description="The answer is one of these texts, to the letter: yes,no,unsure")

    def run(self, desk: Desk) -> Result:
        from engine.inference.protocol import Sampling

        workspace = desk.workspace
        session = self.session or workspace.recall("session", "main")
        sampling = Sampling(
            self.temperature, self.top_p, self.top_k, self.min_p, self.repetition_penalty, self.max_tokens, self.seed, choices=tuple(self.choices)
        )
        with desk.models.use(self.model) as backend:
            history: list[Message] = [
                {"role": m.role, "content": m.text} for m in workspace.sessions.messages(session, 40) if m.facts.get("kind") != "ask"
            ]
            messages = fit(backend, self.system, history, self.text, self.max_tokens)
            # Kept before the answer begins: a killed terminal loses no question.
            workspace.sessions.add(MessageRecord(session, "user", self.text, {"kind": "chat"}))
            answer = ""
            try:
                for piece in backend.stream(messages, sampling, desk.cancel):
                    answer += piece
                    desk.emit(TokenDelta(text=piece))
            finally:
                usage = asdict(backend.usage)
                if answer:
                    workspace.sessions.add(MessageRecord(session, "assistant", answer, {"kind": "chat", "model": backend.facts.name, "usage": usage}))
            return Result("", {"answer": answer, "model": backend.facts.name, "session": session, "usage": usage})


def fit(backend: Backend, system: str, history: list[Message], text: str, room: int) -> list[Message]:
    """The conversation, without its oldest turns where it would not leave ``room`` tokens for the answer."""
    opening: list[Message] = [{"role": "system", "content": system}] if system else []
    last: Message = {"role": "user", "content": text}
    limit = backend.facts.context - min(room, backend.facts.context // 2)
    while history and (history[0]["role"] != "user" or backend.count([*opening, *history, last]) > limit):
        history = history[1:]
    return [*opening, *history, last]


class Clear(Now):
    """Start a new conversation. The old one stays in the workspace."""

    verb = "clear"
    effect = "write"
    examples = ("clear", "clear --name herons")
    name: str = Field("", description="What the new conversation is called")

    def run(self, desk: Desk) -> Result:
        name = self.name or f"chat-{now()[:19].replace(':', '')}"
        if len(name) > 100:
            raise BitternError("That name is too long.", "Use at most 100 characters.")
        desk.workspace.remember("session", name)
        desk.publish(CatalogChanged(what="sessions", name=name))
        return Result("A new conversation.", {"session": name})
