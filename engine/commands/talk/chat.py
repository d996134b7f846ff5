"""Talking to a model: say, say otherwise, answer again, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.commands.talk.forms import read_schema, read_tools
from engine.commands.talk.speaking import Speaks, current, settings_of, speak
from engine.errors import BitternError
from engine.events import CatalogChanged, now
from engine.results import Result
from engine.store.sessions import MessageRecord

if TYPE_CHECKING:
    from collections.abc import Callable

WHICH = "Which message: its number, as `session` shows it, or last"


class Chat(Speaks):
    """Say something to the model in use, or to another, and read its answer as it comes.

    The conversation so far goes along, as much of it as fits the model's context; `clear` starts a new one. What was
    set with `sampling` or a preset holds, unless it is said here. What was attached goes along.
    """

    verb = "chat"
    words = ("text",)
    examples = ("chat Write a haiku about herons", "chat --model smollm2-tickets --temperature 0 Where is my card?",
                "chat --choices yes,no Is a heron a bird?")  # fmt: skip
    completes = {"model": "models", "preset": "presets", "session": "sessions"}

    text: str = Field(min_length=1, description="What to say")
    system: str = Field("", description="A system prompt; the conversation keeps it")
    preset: str = Field("", description="A preset; the conversation keeps it")
    session: str = Field("", description="Which conversation (the current one)")
    choices: list[str] = Field([], description="The answer is one of these texts, to the letter: yes,no,unsure")
    regex: str = Field("", description="All of the answer matches this regular expression")
    json_schema: str = Field("", description="The answer is JSON that fits this JSON schema: a file, or the schema itself")
    tools: str = Field("", description="A JSON file of tools that the model may call; calls are shown, never run (`result` says what one gave back)")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        session = current(desk, self.session)
        schema, tools = read_schema(self.json_schema), read_tools(self.tools)
        if self.preset:
            desk.workspace.presets.get(self.preset)
        with desk.models.turn(self.model) as opened:
            taken: list[dict[str, Any]] = []

            def begin(settings: dict[str, Any]) -> None:
                taken.extend(settings.pop("attached", []))
                settings.update({name: value for name, value in (("system", self.system), ("preset", self.preset)) if value})

            # Kept before the model is loaded: a killed terminal loses no question.
            sessions.change(session, begin)
            facts = {"kind": "chat", **({"attached": taken} if taken else {}), **({"tools": tools} if tools else {})}
            question = sessions.get(sessions.add(MessageRecord(session, "user", self.text, facts)))
            settings = settings_of(desk, session)
            if taken or self.system or self.preset:
                desk.publish(CatalogChanged(what="sessions", name=session))
            return speak(desk, opened(), settings, self.sampling(settings, choices=self.choices, regex=self.regex, schema=schema), question)


class Regenerate(Speaks):
    """Answer a question again, beside the answer that is there; `branch` goes back to that one.

    A conversation with a fixed seed takes the next one for each further answer.
    """

    verb = "regenerate"
    rest = False
    words = ("message",)
    examples = ("regenerate", "regenerate --temperature 1.2", "regenerate 14 --model smollm2-tickets")
    completes = {"model": "models", "session": "sessions"}

    message: str = Field("last", description=WHICH)
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        target = chosen(desk, self.message, self.session)
        question = desk.workspace.sessions.get(target.parent or 0) if target.role == "assistant" else target
        return _answer(desk, self, question)


class Revise(Speaks):
    """Say something else in the place of a question, and have that answered. What was said before stays, as a branch."""

    verb = "revise"
    words = ("message", "text")
    examples = ("revise last Write a haiku about reeds", "revise 12 And in French?")
    completes = {"model": "models", "session": "sessions"}

    message: str = Field(description="Which of your questions: its number, as `session` shows it, or last")
    text: str = Field(min_length=1, description="What to say instead")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        target = chosen(desk, self.message, self.session, role="user")
        facts = {name: value for name, value in target.facts.items() if name != "asked"}
        if facts.get("kind") != "ask" or self.model:
            desk.models.record(self.model)  # Says at once that there is no such model.
        question = sessions.add(MessageRecord(target.session, "user", self.text, facts, parent=target.parent))
        return _answer(desk, self, sessions.get(question))


class Continue(Speaks):
    """Go on with an answer where it stopped: it was cut at its longest, stopped, or its process was killed.

    A question that has no answer yet gets one.
    """

    verb = "continue"
    rest = False
    words = ("message",)
    examples = ("continue", "continue --max-tokens 200")
    completes = {"model": "models", "session": "sessions"}

    message: str = Field("last", description=WHICH)
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        target = chosen(desk, self.message, self.session)
        if target.role == "user":
            return _answer(desk, self, target)
        if target.facts.get("kind") == "ask":
            raise BitternError("An answer from rows is whole: there is nothing to go on with.", "`regenerate` answers again.")
        settings = settings_of(desk, target.session)
        with desk.models.use(self.model or str(target.facts.get("model", ""))) as backend:
            begun = sessions.get(target.id)
            sessions.go_to(sessions.newest_under(target.id))
            result = speak(desk, backend, settings, self.sampling(settings), sessions.get(target.parent or 0), begun)
        if result.data["answer"] == begun.text:
            return Result("The model has nothing to add.", result.data)
        return result


class Clear(Now):
    """Start a new conversation. The old one stays in the workspace: `sessions` lists them."""

    verb = "clear"
    effect = "write"
    examples = ("clear", "clear --name herons")
    name: str = Field("", description="What the new conversation is called")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        name = self.name.strip() or f"chat-{now()[:19].replace(':', '')}"
        check_session_name(name)
        if self.name and sessions.find(name):
            raise BitternError(f"There is a conversation called “{name}” already.", f"Go on with it: session {name}")
        sessions.begin(name)
        desk.workspace.remember("session", name)
        desk.publish(CatalogChanged(what="sessions", name=name))
        return Result("A new conversation.", {"session": name})


def check_session_name(name: str) -> None:
    """Raises ``BitternError`` for a name that can't be typed or shown on one line."""
    if not name.strip() or len(name) > 100 or not name.isprintable() or name.startswith("-"):
        raise BitternError("That can't be a conversation's name.", "Use at most 100 letters, digits, spaces and signs; no dash at the start.")


def chosen(desk: Desk, message: str, session: str = "", role: str = "") -> MessageRecord:
    """The message that a word names: a number, or ``last`` (of a ``role``) in the conversation.

    Raises ``NotFound`` or ``BitternError``.
    """
    sessions = desk.workspace.sessions
    if message != "last":
        if not message.lstrip("#").isdigit():
            raise BitternError(f"“{message}” is no message.", "Say its number, as `session` shows it, or last.")
        found = sessions.get(int(message.lstrip("#")))
        if role and found.role != role:
            raise BitternError(f"Message {found.id} is an answer: only a question can be put anew.", f"Its question is {found.parent}.")
        return found
    path = sessions.messages(current(desk, session))
    last = next((record for record in reversed(path) if not role or record.role == role), None)
    if last is None:
        raise BitternError("Nothing was said in this conversation yet.", "`chat TEXT` says something; `sessions` lists the others.")
    return last


def _answer(desk: Desk, request: Speaks, question: MessageRecord) -> Result:
    """Answer a question that is in the conversation, in the way in which it was put; the answers it has stay beside."""
    from engine.commands.data.ask import Ask

    sessions = desk.workspace.sessions
    if question.facts.get("kind") == "ask":
        facts = question.facts
        ask = Ask(question=question.text, on=str(facts.get("dataset", "")), by=facts.get("by", "auto"), session=question.session, model=request.model)
        return _beside(desk, question, lambda: ask.reply(desk, question))
    settings = settings_of(desk, question.session)
    more: dict[str, Any] = {}
    if "seed" not in request.model_fields_set and (seed := settings["sampling"].get("seed")) is not None:
        more["seed"] = seed + sum(record.parent == question.id for record in sessions.tree(question.session))
    with desk.models.use(request.model) as backend:
        return _beside(desk, question, lambda: speak(desk, backend, settings, request.sampling(settings, **more), question))


def _beside(desk: Desk, question: MessageRecord, answer: Callable[[], Result]) -> Result:
    """Go to the question and answer it; where that fails before a word came, be where the conversation was."""
    sessions = desk.workspace.sessions
    before = sessions.go_to(question.id)
    try:
        return answer()
    except BaseException:
        found = sessions.find(question.session)
        if found and found.leaf == question.id:
            sessions.go_to(before)
        raise
