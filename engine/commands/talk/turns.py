"""A conversation as a model is sent it: the sides in turn, calls of tools with what they gave back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands.talk.attached import content_of, joined
from engine.commands.talk.thinking import spoken
from engine.inference.calls import as_message

if TYPE_CHECKING:
    from engine.inference.protocol import Message
    from engine.store.sessions import MessageRecord


def turns(history: list[MessageRecord]) -> list[tuple[int, Message]]:
    """Messages for a template, which wants the two sides in turn: each with the id of its first record. Thoughts, answers
    with no word and questions that rows did not answer stay out; questions that stand alone are joined. Calls go along
    where all of them were answered: a template refuses one without its result."""
    found: list[tuple[int, Message]] = []
    for at, record in enumerate(history):
        if record.facts.get("result"):
            continue  # with its call
        if found and (results := results_of(history, at)):
            called = as_message(record.facts["calls"], spoken(record.text))
            found += [(record.id, called), *((result.id, tool_message(result)) for result in results)]
            continue
        content = content_of(record) if record.role == "user" else spoken(record.text)
        if not (content.strip() if isinstance(content, str) else content) or record.facts.get("found") is False:
            continue
        if found and found[-1][1]["role"] == record.role and "tool_calls" not in found[-1][1]:
            found[-1][1]["content"] = joined(found[-1][1]["content"], content)
        elif found or record.role == "user":
            found.append((record.id, {"role": record.role, "content": content}))
    return found


def results_of(history: list[MessageRecord], at: int) -> list[MessageRecord]:
    """What the calls of the answer at ``at`` gave back, in their order; nothing where one of them was not answered."""
    calls = history[at].facts.get("calls") or []
    given: dict[str, MessageRecord] = {}
    for record in history[at + 1 :]:
        if not (result := record.facts.get("result")):
            break
        given[result["id"]] = record
    return [given[call["id"]] for call in calls] if calls and all(call["id"] in given for call in calls) else []


def tool_message(record: MessageRecord) -> Message:
    """What a tool gave back, as OpenAI writes it."""
    result = record.facts["result"]
    return {"role": "tool", "tool_call_id": result["id"], "name": result["name"], "content": record.text}
