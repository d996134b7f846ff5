"""The Command that answers from a dataset."""

from __future__ import annotations

from engine.commands.base import Desk, Field, Now
from engine.commands.search import chosen
from engine.results import Result, Table
from engine.store.sessions import MessageRecord


class Ask(Now):
    """Ask a dataset a question; the answer cites the rows it stands on, or says that nothing answers."""

    verb = "ask"
    effect = "compute"
    words = ("question",)
    rest = True
    examples = ("ask How do I resume a job? --on guide", "ask What do people complain about?")
    completes = {"on": "datasets", "model": "models"}

    question: str = Field(min_length=1, description="The question")
    on: str = Field("", description="Which dataset (the one in use)")
    model: str = Field("", description="Which model writes (the one in use)")
    passages: int = Field(3, ge=1, le=20, description="How many rows the answer may stand on")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        from engine.answer.answer import answer

        dataset = chosen(desk, self.on)
        desk.reader.index(dataset.name)  # Says at once that there is no index.
        session = self.session or desk.workspace.recall("session", "main")
        with desk.models.use(self.model) as backend:
            desk.workspace.sessions.add(MessageRecord(session, "user", self.question, {"kind": "ask", "dataset": dataset.name}))
            data = answer(desk.reader, backend, dataset.name, self.question, self.passages, desk.emit, desk.cancel)
        desk.workspace.sessions.add(MessageRecord(session, "assistant", data["answer"], {"kind": "ask", **data}))
        rows = [[f"[{passage['n']}]", passage["address"], passage["quote"]] for passage in data["passages"]]
        return Result(data["answer"], data, Table(["", "row", "says"], rows))
