"""Conversations as text: lines for a list, Markdown to read, messages to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands.talk.attached import with_attached
from engine.commands.talk.thinking import part, spoken
from engine.commands.talk.turns import results_of, tool_message
from engine.inference.calls import as_message

if TYPE_CHECKING:
    from engine.inference.protocol import Message
    from engine.store.sessions import MessageRecord


def lines_of(record: MessageRecord) -> list[str]:
    """number, who, and what was said, on one line."""
    beside = f" ‹{record.siblings.index(record.id) + 1}/{len(record.siblings)}›" if len(record.siblings) > 1 else ""
    who = "you" if record.role == "user" else str(record.facts.get("model") or "rows")
    return [str(record.id), who + beside, " ".join((spoken(record.text) or record.text).split())[:200]]


def as_markdown(name: str, system: str, path: list[MessageRecord], *, thoughts: bool) -> str:
    """A conversation to read: a heading a message, what was attached and the rows that an answer stands on as quotes."""
    parts = [f"# {name}", *([f"*System prompt:* {system}"] if system else [])]
    for record in path:
        thought, said = part(record.text)
        if record.role == "user":
            result = record.facts.get("result")
            parts += [f"## Result of {result['name']}" if result else "## You", with_attached(record)]
            continue
        parts.append(f"## {record.facts.get('model') or 'Quoted from the rows'}")
        if thoughts and thought:
            parts.append("\n".join(f"> {line}" for line in thought.splitlines()))
        parts += [said] if said else []
        parts += [f"*{record.facts['remarks']}*"] if record.facts.get("calls") else []
        parts += [f"[{passage.get('n', '')}] `{passage.get('address', '')}`" for passage in record.facts.get("passages") or []]
    return "\n\n".join(parts) + "\n\n"


def as_conversations(system: str, paths: list[list[MessageRecord]], *, thoughts: bool) -> list[list[Message]]:
    """Conversations to train on, each down to its last answer: the sides take turns and no text is empty. The same one
    is told once."""
    found: list[list[Message]] = []
    for path in paths:
        messages: list[Message] = []
        for at, record in enumerate(path):
            if record.facts.get("result"):
                continue
            if messages and (results := results_of(path, at)):
                messages += [as_message(record.facts["calls"], spoken(record.text)), *(tool_message(result) for result in results)]
                continue
            text = with_attached(record) if record.role == "user" else record.text.strip() if thoughts else spoken(record.text).strip()
            if messages and messages[-1]["role"] == record.role == "user":
                messages.pop()  # it has no answer
            if text and (record.role == "user" or messages):
                messages.append({"role": record.role, "content": text})
        while messages and (messages[-1]["role"] in ("user", "tool") or messages[-1].get("tool_calls")):
            messages.pop()
        whole = [*([{"role": "system", "content": system}] if system else []), *messages]
        if messages and whole not in found:
            found.append(whole)
    return found
