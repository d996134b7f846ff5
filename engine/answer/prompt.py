"""The prompt of an answer: passages quoted and numbered, as many as fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.inference.guard import neutralise

if TYPE_CHECKING:
    from engine.inference.protocol import Backend, Message

SYSTEM = "You answer questions from numbered passages. Answer in one or two short sentences, using only what the passages say."


def build(backend: Backend, question: str, passages: list[str], room: int) -> tuple[list[Message], int]:
    """The messages, and how many passages are in them: the best first, left out or cut from the end until the prompt
    leaves ``room`` tokens of the context for the answer."""
    limit = backend.facts.context - room
    for count in range(len(passages), 0, -1):
        messages = _messages(question, passages[:count])
        if count == 1 or backend.count(messages) <= limit:
            break
    cut = passages[0]
    while count == 1 and len(cut) > 200 and backend.count(messages) > limit:
        cut = cut[: len(cut) * 3 // 4]
        messages = _messages(question, [cut])
    return messages, count


def _messages(question: str, passages: list[str]) -> list[Message]:
    quoted = "\n\n".join(f'[{number}] """{neutralise(text)}"""' for number, text in enumerate(passages, start=1))
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"Passages:\n\n{quoted}\n\nQuestion: {question}\nAnswer from the passages only."},
    ]
