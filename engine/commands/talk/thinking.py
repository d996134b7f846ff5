"""What a model thought and what it said. Pure text: the screen imports this."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def part(text: str) -> tuple[str, str]:
    """The thoughts and the words of an answer, which may still be growing.

    Thoughts stand in ``<think>…</think>`` at the beginning; a template may have opened them already, so a lone
    ``</think>`` ends them too. Of an answer that is still thinking there are no words yet.
    """
    body = text.lstrip()
    if CLOSE in body:
        thought, _, said = body.partition(CLOSE)
        return thought.removeprefix(OPEN).strip(), said.lstrip()
    if body.startswith(OPEN):
        return body.removeprefix(OPEN).strip(), ""
    # The tag itself may come in pieces.
    return ("", "") if body and OPEN.startswith(body) else ("", text)


def spoken(text: str) -> str:
    """The words of an answer, without its thoughts."""
    return part(text)[1]
