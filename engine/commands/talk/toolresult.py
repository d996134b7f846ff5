"""What a tool gave back: said by a person or a program, so that the model goes on after its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field
from engine.commands.talk.speaking import Speaks, current, settings_of, speak, told
from engine.commands.talk.turns import results_of
from engine.errors import BitternError
from engine.results import Result
from engine.store.sessions import MessageRecord

if TYPE_CHECKING:
    from engine.inference.protocol import Call


class ToolResult(Speaks):
    """Say what a tool gave back that the last answer called, and read how the model goes on.

    Bittern calls no tool itself: `chat --tools FILE` shows the calls. Where there were several, the model goes on when all
    have their results. The tools that it may call stay the same.
    """

    verb = "result"
    words = ("text",)
    examples = ("result 12 degrees and fine", 'result --call call_1 {"degrees": 12}')
    completes = {"model": "models", "session": "sessions"}

    text: str = Field(min_length=1, description="What the tool gave back: words or JSON")
    call: str = Field("", description="Which call: its id, or the tool's name (the first that has no result yet)")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        path = sessions.messages(current(desk, self.session))
        at = next((at for at in reversed(range(len(path))) if not path[at].facts.get("result")), -1)
        open_calls = _open(path, at)
        call = self._chosen(open_calls)
        answer = path[at]
        # Each stands under the one before: two that stood alone would be taken for two ways of one question.
        facts = {"kind": "chat", "result": {"id": call["id"], "name": call["name"]}, "tools": path[at - 1].facts.get("tools", [])}
        given = sessions.get(sessions.add(MessageRecord(answer.session, "user", self.text, facts, parent=path[-1].id)))
        left = [each for each in open_calls if each["id"] != call["id"]]
        if left:
            return Result(f"Kept. {_named(left)} waits for its result.", {**told(desk, given.id), "waiting": [each["id"] for each in left]})
        settings = settings_of(desk, given.session)
        with desk.models.use(self.model or str(answer.facts.get("model", ""))) as backend:
            return speak(desk, backend, settings, self.sampling(settings), given)

    def _chosen(self, calls: list[Call]) -> Call:
        found = next((call for call in calls if self.call in ("", call["id"], call["name"])), None)
        if found is None:
            raise BitternError(f"No call “{self.call}” waits for a result.", f"{_named(calls)} does: result --call {calls[0]['id']} TEXT")
        return found


def _open(path: list[MessageRecord], at: int) -> list[Call]:
    """The calls of the answer at ``at`` that have no result yet. Raises ``BitternError`` where there is none."""
    calls: list[Call] = (path[at].facts.get("calls") or []) if at >= 0 and path[at].role == "assistant" else []
    given = {record.facts["result"]["id"] for record in path[at + 1 :]}
    found = [call for call in calls if call["id"] not in given]
    if not found and not (calls and results_of(path, at)):
        raise BitternError("The last answer calls no tool.", "`chat --tools FILE TEXT` lets a model call one; its calls are shown.")
    if not found:
        raise BitternError("Every call of the last answer has its result.", "`regenerate` lets the model go on from them again.")
    return found


def _named(calls: list[Any]) -> str:
    return ", ".join(f"{call['name']} ({call['id']})" for call in calls)
