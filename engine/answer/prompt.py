"""The prompt of an answer: passages quoted and numbered, as many as fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.inference.guard import neutralise

if TYPE_CHECKING:
    from engine.inference.protocol import Backend, Message

WRITE = "You answer questions from numbered passages. Answer in one or two short sentences, using only what the passages say, and put the number of the passage after each sentence, like [1]."
COPY = "You copy the sentence of the text that answers the question."
EXAMPLE: list[Message] = [
    {"role": "user", "content": "Text: Herons are birds. Herons eat fish. They nest in trees.\nQuestion: What do herons eat?"},
    {"role": "assistant", "content": "Herons eat fish."},
]
"""A small model does what it was shown rather than what it was told."""


def build(backend: Backend, question: str, passages: list[str], room: int) -> tuple[list[Message], int]:
    """The messages, and how many passages are in them: the best first, left out or cut from the end until the prompt
    leaves ``room`` tokens of the context for the answer."""
    limit = backend.facts.context - room
    write = _copying if backend.facts.small else _writing
    count = len(passages)
    while count > 1 and backend.count(write(question, passages[:count])) > limit:
        count -= 1
    kept = passages[:count]
    while count == 1 and len(kept[0]) > 200 and backend.count(write(question, kept)) > limit:
        kept = [kept[0][: len(kept[0]) * 3 // 4]]
    return write(question, kept), count


def _writing(question: str, passages: list[str]) -> list[Message]:
    quoted = "\n\n".join(f'[{number}] """{_closed(text)}"""' for number, text in enumerate(passages, start=1))
    return [
        {"role": "system", "content": WRITE},
        {"role": "user", "content": f"Passages:\n\n{quoted}\n\nQuestion: {question}\nAnswer from the passages only."},
    ]


def _copying(question: str, passages: list[str]) -> list[Message]:
    text = neutralise(" ".join(passages))
    return [{"role": "system", "content": COPY}, *EXAMPLE, {"role": "user", "content": f"Text: {text}\nQuestion: {question}"}]


def _closed(text: str) -> str:
    """A row's text that can neither end its own quotation nor act as a control token."""
    return neutralise(text).replace('"""', '" " "')
