"""The conversation on the screen, reduced from the events of dispatched Commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine import events

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["user", "answer", "note", "error"]
ANSWERS = ("ask", "chat")
WORDS = re.compile(r"\w{3,}")


@dataclass(slots=True)
class Message:
    """One entry. ``text`` is what was typed, said or streamed so far; ``busy`` until its call is finished;
    ``found`` is false for an answer that found nothing relevant; ``asked`` is a follow-up as it was understood;
    ``unsupported`` is how many sentences no row supports; ``quoted``: the words are a row's, not a model's;
    ``result`` is the JSON of a note's Result."""

    number: int
    kind: Kind
    text: str = ""
    verb: str = ""
    ticket: str = ""
    busy: bool = False
    found: bool = True
    model: str = ""
    asked: str = ""
    unsupported: int = 0
    quoted: bool = False
    passages: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)

    def footer(self) -> str:
        """One line under an answer: who said it, how fast."""
        parts = [self.model] if self.model else ["quoted from the rows"] if self.quoted and self.found else []
        if rate := self.usage.get("rate"):
            parts.append(f"{rate:.0f} tok/s")
        if first := self.usage.get("first_token"):
            parts.append(f"first word after {first:.1f} s")
        if self.usage.get("finish") == "cancel":
            parts.append("stopped")
        elif self.usage.get("finish") == "length":
            parts.append("cut at its longest")
        return " · ".join(parts)


class ChatState:
    """``mode`` says what plain text means: a question to the dataset, or a word to the model."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.mode: Literal["ask", "chat"] = "ask"
        self._quiet: set[str] = set()
        self._next = 0

    def add(self, kind: Kind, text: str, **more: Any) -> Message:
        message = Message(self._next, kind, text, **more)
        self._next += 1
        self.messages.append(message)
        return message

    def begin(self, ticket: str, verb: str) -> Message | None:
        """A Command was dispatched: an answer gets its place at once; other Commands when they are done."""
        if verb in ANSWERS:
            return self.add("answer", "", verb=verb, ticket=ticket, busy=True)
        return None

    def begin_quietly(self, ticket: str) -> None:
        """Its result is told in passing, not in the conversation."""
        self._quiet.add(ticket)

    def quiet(self, ticket: str) -> bool:
        if ticket in self._quiet:
            self._quiet.discard(ticket)
            return True
        return False

    def of(self, ticket: str) -> Message | None:
        return next((message for message in reversed(self.messages) if message.ticket == ticket), None)

    @property
    def busy(self) -> Message | None:
        """The answer that is being streamed, if any."""
        return next((message for message in reversed(self.messages) if message.busy), None)

    @property
    def last_answer(self) -> Message | None:
        return next((message for message in reversed(self.messages) if message.kind == "answer"), None)

    @property
    def offered(self) -> list[dict[str, str]]:
        """The ways out of the error that was told last, until the person or a model says something else."""
        last = next((message for message in reversed(self.messages) if message.kind != "note"), None)
        return last.error.get("repairs", []) if last and last.kind == "error" else []

    def answered(self, job: str, result: dict[str, Any]) -> Message | None:
        """A job is done: its answer takes the place of the note that told its beginning."""
        for message in reversed(self.messages):
            if message.kind == "note" and message.result.get("data", {}).get("job") == job:
                message.text = result.get("summary", "")
                message.result = {**result, "data": {**result.get("data", {}), "job": job}}
                return message
        return None

    def typed(self) -> list[str]:
        """What the person said, oldest first."""
        return [message.text for message in self.messages if message.kind == "user"]

    def load(self, history: Iterable[Any]) -> None:
        """Show what was said in an earlier sitting."""
        for record in history:
            if record.role == "user":
                self.add("user", record.text)
            else:
                facts = record.facts
                self.add(
                    "answer", record.text, verb="ask" if facts.get("passages") else "chat", model=facts.get("model", ""),
                    passages=facts.get("passages") or [], usage=facts.get("usage") or {}, found=facts.get("found", True), **_of_ask(facts),
                )  # fmt: skip

    def clear(self) -> None:
        self.messages.clear()

    def apply(self, event: events.Event) -> Message | None:
        """Take in an event of a call; returns the message that changed or came."""
        match event:
            case events.TokenDelta(job=ticket, text=text):
                if message := self.of(ticket):
                    message.text += text
                return message
            case events.PassagesFound(job=ticket, passages=passages, asked=asked):
                if message := self.of(ticket):
                    message.passages = passages
                    message.asked = asked
                return message
            case events.CallFinished():
                return self._finish(event)
        return None

    def _finish(self, event: events.CallFinished) -> Message | None:
        message = self.of(event.job)
        if event.error:
            if message:
                message.busy = False
                message.usage = {**message.usage, "finish": message.usage.get("finish", "error")}
            return self.add("error", event.error.get("message", ""), verb=event.verb, error=event.error)
        result = event.result or {}
        if message is None:
            return self.add("note", result.get("summary", ""), verb=event.verb, result=result)
        data = result.get("data") or {}
        message.busy = False
        message.result = result
        message.text = data.get("answer") or message.text or result.get("summary", "")
        message.found = data.get("found", True)
        message.passages = data.get("passages", message.passages)
        message.model = data.get("model", "")
        message.usage = data.get("usage") or {}
        for name, value in _of_ask(data).items():
            setattr(message, name, value)
        return message


def _of_ask(data: dict[str, Any]) -> dict[str, Any]:
    """What an answer from rows says about itself."""
    asked = str(data.get("asked") or "")
    unsupported = sum(not sentence.get("supported", True) for sentence in data.get("sentences") or [])
    return {"asked": asked if asked != data.get("question") else "", "unsupported": unsupported, "quoted": data.get("by") == "quote"}


def support(passage: str, answer: str) -> tuple[int, int]:
    """Where in ``passage`` the sentence stands that shares most words with ``answer``; (0, 0) when none does."""
    said = {word.lower() for word in WORDS.findall(answer)}
    best, place = 0.0, (0, 0)
    for match in re.finditer(r"[^.!?\n]+[.!?]?", passage):
        words = {word.lower() for word in WORDS.findall(match.group())}
        if len(words) < 3:
            continue
        score = len(words & said) / (len(words) ** 0.5)
        if score > best:
            lead = len(match.group()) - len(match.group().lstrip())
            best, place = score, (match.start() + lead, match.end())
    return place
