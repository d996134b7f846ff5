"""The conversation on the screen, reduced from the events of dispatched Commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from engine import events
from tui.state.message import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

AGAIN = ("regenerate", "revise", "continue")
"""Commands whose answer takes the place of what is shown."""
ANSWERS = ("ask", "chat", *AGAIN)
WORDS = re.compile(r"\w{3,}")


class ChatState:
    """``mode`` says what plain text means: a question to the dataset, or a word to the model. ``astray``: what is shown
    is not the conversation any more, and it should be read again."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.mode: Literal["ask", "chat"] = "ask"
        self.astray = False
        self._quiet: set[str] = set()
        self._next = 0

    def add(self, kind: Kind, text: str, **more: Any) -> Message:
        message = Message(self._next, kind, text, **more)
        self._next += 1
        self.messages.append(message)
        return message

    def begin(self, ticket: str, verb: str, target: str = "last", text: str = "") -> Message | None:
        """A Command was dispatched: an answer gets its place at once; other Commands when they are done. What answers
        ``target`` again takes the place of all that stands from there on; ``text`` is the question put anew."""
        if verb not in ANSWERS:
            return None
        begun = self._make_room(verb, target, text) if verb in AGAIN else None
        return self.add("answer", begun.text if begun else "", verb=verb, ticket=ticket, busy=True)

    def _make_room(self, verb: str, target: str, text: str) -> Message | None:
        """Take away what is answered again; returns the answer that is gone on with."""
        spoken = [at for at, message in enumerate(self.messages) if message.id]
        named = target.lstrip("#")
        at = next((at for at in reversed(spoken) if str(self.messages[at].id) == named), None)
        if target == "last":
            wanted = [at for at in spoken if verb != "revise" or self.messages[at].kind == "user"]
            at = wanted[-1] if wanted else None
        if at is None:
            self.astray = True
            return None
        found = self.messages[at]
        if found.kind == "answer" and verb == "regenerate":
            at = max((question for question in spoken if question < at and self.messages[question].kind == "user"), default=at - 1) + 1
        elif found.kind == "user" and verb != "revise":
            at += 1
        del self.messages[at:]
        if verb == "revise":
            self.add("user", text, attached=found.attached)
        return found if verb == "continue" and found.kind == "answer" else None

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

    def around(self, ticket: str) -> list[Message]:
        """The answer of a call and the question above it."""
        if (answer := self.of(ticket)) is None:
            return []
        return [answer, *self._question_of(answer)]

    def _question_of(self, answer: Message) -> list[Message]:
        above = self.messages[: self.messages.index(answer)]
        return next(([message] for message in reversed(above) if message.kind == "user"), [])

    @property
    def busy(self) -> Message | None:
        """The answer that is being streamed, if any: the oldest that is not whole, for the others wait for it."""
        return next((message for message in self.messages if message.busy), None)

    @property
    def last_answer(self) -> Message | None:
        return next((message for message in reversed(self.messages) if message.kind == "answer"), None)

    @property
    def offered(self) -> list[dict[str, str]]:
        """The ways out of the error that was told last, until the person or a model says something else."""
        last = next((message for message in reversed(self.messages) if message.kind != "note"), None)
        return last.error.get("repairs", []) if last and last.kind == "error" else []

    def answered(self, job: str, result: dict[str, Any]) -> Message | None:
        """A job is done: its answer takes the place of the note that told its beginning. A note with a table (what `logs`,
        `job` and `verdicts` said of the job) is an answer of its own."""
        for message in reversed(self.messages):
            begun = message.result.get("opens") == f"job:{job}" and not message.result.get("table")
            if message.kind == "note" and begun and message.result.get("data", {}).get("job") == job:
                message.text = result.get("summary", "")
                message.result = {**result, "data": {**result.get("data", {}), "job": job}}
                return message
        return None

    def typed(self) -> list[str]:
        """What the person said, oldest first."""
        return [message.text for message in self.messages if message.kind == "user"]

    @property
    def shown(self) -> list[int]:
        """The ids of what is shown of the conversation."""
        return [message.id for message in self.messages if message.id]

    @property
    def context(self) -> dict[str, Any]:
        """How full the model's window is after the last answer that says so."""
        return next((message.context for message in reversed(self.messages) if message.context), {})

    def meter(self) -> str:
        """:attr:`context` in words."""
        if not (context := self.context):
            return ""
        dropped = context.get("dropped", 0)
        return f"{context['used']:,} of {context['window']:,} tokens" + (f" · {dropped} older not sent" if dropped else "")

    def oldest_sent(self) -> Message | None:
        """The oldest message that still fits the model's window, where some do not."""
        first = self.context.get("first", 0) if self.context.get("dropped") else 0
        return next((message for message in self.messages if message.id and message.id == first), None)

    def load(self, history: Iterable[Any]) -> None:
        """Show what was said in an earlier sitting."""
        for record in history:
            facts = record.facts
            same: dict[str, Any] = {"id": getattr(record, "id", 0), "siblings": list(getattr(record, "siblings", ()))}
            if record.role == "user":
                given = [f"result of {facts['result']['name']}"] if facts.get("result") else []
                self.add("user", record.text, attached=[*(str(item.get("name", "")) for item in facts.get("attached", [])), *given], **same)
            else:
                # An answer with no figures was being written when its process ended.
                usage = facts.get("usage") or ({"finish": "error"} if facts.get("kind") == "chat" else {})
                self.add(
                    "answer", record.text, verb="ask" if facts.get("passages") or facts.get("kind") == "ask" else "chat",
                    model=facts.get("model", ""), passages=facts.get("passages") or [], usage=usage,
                    found=facts.get("found", True), remarks=facts.get("remarks", ""), context=facts.get("context") or {}, **same, **_of_ask(facts),
                )  # fmt: skip

    def turn(self, history: Iterable[Any], *, keep_error: bool, keep_said: bool = False) -> None:
        """Show another conversation, or this one as it stands now; the error that was told last may stay below, and all
        that was said while the workspace was being opened."""
        said = [message for message in self.messages if not message.id]
        stays = said if keep_said else [message for message in self.messages[-1:] if keep_error and message.kind == "error"]
        self.messages.clear()
        self.astray = False
        self.load(history)
        if stays and self.messages and stays[0].kind == self.messages[-1].kind == "user" and stays[0].text == self.messages[-1].text:
            self.messages.pop()  # it has come to the workspace meanwhile
        self.messages += stays

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
            case events.PromptRead(job=ticket, done=done, total=total):
                if message := self.of(ticket):
                    message.read = done / max(total, 1)
                return message
            case events.CallFinished():
                return self._finish(event)
        return None

    def _finish(self, event: events.CallFinished) -> Message | None:
        message = self.of(event.job)
        if event.error:
            self.astray = self.astray or event.verb in AGAIN
            if message:
                message.busy = False
                if message.text:  # else nothing was broken off: the error says it all
                    message.usage = {**message.usage, "finish": message.usage.get("finish", "error")}
            return self.add("error", event.error.get("message", ""), verb=event.verb, error=event.error)
        result = event.result or {}
        if message is None and event.verb in ANSWERS:
            # The person has turned to another conversation meanwhile; or to this one, after it was asked.
            self.astray = True
            return None
        if message is None:
            return self.add("note", result.get("summary", ""), verb=event.verb, result=result)
        data = result.get("data") or {}
        message.busy = False
        message.result = result
        message.remarks = data.get("remarks", "")
        message.text = data.get("answer") or message.text or ("" if message.remarks else result.get("summary", ""))
        message.found = data.get("found", True)
        message.passages = data.get("passages", message.passages)
        message.model = data.get("model", "")
        message.usage = data.get("usage") or {}
        for name, value in _of_ask(data).items():
            setattr(message, name, value)
        self._place(message, data)
        return message

    def _place(self, message: Message, data: dict[str, Any]) -> None:
        """Where in the conversation an answer and its question stand."""
        message.context = data.get("context") or {}
        answered = bool(data.get("message")) and data["message"] != data.get("under")
        message.id = int(data["message"]) if answered and (message.text or message.remarks) else 0
        message.siblings = list(data.get("siblings", [])) if message.id else []
        for question in self._question_of(message) if message.id else []:
            self.astray = self.astray or question.id not in (0, data["under"])
            question.id, question.siblings = int(data["under"]), list(data.get("under_siblings", []))
            question.attached = [str(name) for name in data.get("attached", [])]


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
