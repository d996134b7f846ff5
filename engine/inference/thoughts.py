"""A model's thoughts in the stream of its answer, between ``<think>`` and ``</think>``, whichever way a server tells them."""

from __future__ import annotations

from typing import Any

OPEN, CLOSE = "<think>", "</think>"


class Thoughts:
    """Makes one text of an OpenAI-compatible stream that tells thoughts apart (``reasoning_content`` or ``reasoning``)."""

    def __init__(self) -> None:
        self._thinking = False

    def take(self, delta: dict[str, Any]) -> str:
        """The text of one delta, with the tags where thinking begins and ends."""
        thought, said = delta.get("reasoning_content") or delta.get("reasoning") or "", delta.get("content") or ""
        text = ""
        if thought:
            text += thought if self._thinking else OPEN + thought
            self._thinking = True
        if said:
            text += f"{CLOSE}{said}" if self._thinking else said
            self._thinking = False
        return text
