"""The Command that answers from a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now
from engine.commands.data.search import chosen
from engine.commands.talk.speaking import current, told
from engine.results import Result, Table
from engine.store.sessions import MessageRecord

if TYPE_CHECKING:
    from engine.answer.answer import Answering


class Ask(Now):
    """Ask a dataset a question; the answer cites the rows it stands on, or says that nothing answers.

    A small model is not trusted with facts: then the answer is quoted from the rows. A larger one writes it, and a
    sentence that no row supports is marked [?]. A follow-up ("and how do I cancel it?") is understood with the
    question before it.
    """

    verb = "ask"
    effect = "compute"
    words = ("question",)
    rest = True
    examples = ("ask How do I resume a job? --on guide", "ask What do people complain about?")
    completes = {"on": "datasets", "model": "models", "session": "sessions"}

    question: str = Field(min_length=1, description="The question")
    on: str = Field("", description="Which dataset (the one in use)")
    model: str = Field("", description="Which model writes (the one in use)")
    by: Literal["auto", "quote", "model"] = Field("auto", description="Quote the rows, or let the model write (auto: unless it is small)")
    passages: int = Field(3, ge=1, le=20, description="How many rows the answer may stand on")
    alone: bool = Field(False, description="Take the question as it is, not as a follow-up")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        dataset = chosen(desk, self.on)
        desk.reader.index(dataset.name)  # Says at once that there is no index.
        if self.model:
            desk.models.record(self.model)  # And that there is no such model, even where none has to write.
        session = current(desk, self.session)
        # Kept before the answer begins: a killed terminal loses no question.
        sessions = desk.workspace.sessions
        asked = self.question if self.alone else self._asked(sessions.messages(session, 20), dataset.name)
        facts = {"kind": "ask", "dataset": dataset.name, "asked": asked, "by": self.by}
        return self.reply(desk, sessions.get(sessions.add(MessageRecord(session, "user", self.question, facts))))

    def reply(self, desk: Desk, question: MessageRecord) -> Result:
        """Answer a question that stands in the conversation already."""
        from engine.answer.answer import Answering

        sessions = desk.workspace.sessions
        dataset = chosen(desk, self.on)
        above = sessions.path(question.id, 21)[:-1]
        asked = str(question.facts.get("asked") or (self.question if self.alone else self._asked(above, dataset.name)))
        writes = desk.models.writes(self.model) if self.by == "auto" else self.by == "model"
        data = self._answer(Answering(desk.reader, dataset, desk.emit, desk.cancel), desk, asked, writes=writes)
        answer = sessions.add(MessageRecord("", "assistant", data["answer"], {"kind": "ask", **data}, parent=question.id))
        data |= told(desk, answer)
        rows = [[f"[{passage['n']}]", passage["address"], passage["quote"]] for passage in data["passages"]]
        return Result(_told(data), data, Table(["", "row", "says"], rows))

    def _answer(self, answering: Answering, desk: Desk, asked: str, *, writes: bool) -> dict[str, Any]:
        if not writes:
            return answering.answer(self.question, asked, self.passages, None)
        with desk.models.use(self.model) as backend:
            return answering.answer(self.question, asked, self.passages, backend)

    def _asked(self, said: list[MessageRecord], dataset: str) -> str:
        """The question with what it leans on from the last one to the same dataset in this conversation."""
        from engine.answer.rewrite import rewrite

        for message in reversed(said):
            if message.role == "user" and message.facts.get("kind") == "ask":
                if message.facts.get("dataset") != dataset:
                    break
                return rewrite(self.question, str(message.facts.get("asked") or message.text))
        return self.question


def _told(data: dict[str, Any]) -> str:
    """The answer in lines: how the question was understood, where that is not as it was put, and what ``[?]`` means."""
    lines = [data["answer"]]
    if data["asked"] != data["question"]:
        lines.insert(0, f"Understood as: {data['asked']}")
    if not all(sentence["supported"] for sentence in data["sentences"]):
        lines.append("[?] No row supports this sentence.")
    return "\n".join(lines)
