"""The tools that an answer calls: as a server streams them, or as the model wrote them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.inference.protocol import Call

OPEN, CLOSE = "<tool_call>", "</tool_call>"
"""How Hermes, Qwen, SmolLM and many others write a call; Llama writes the JSON alone."""
_BETWEEN = re.compile(rf"{OPEN}\s*(.*?)\s*(?:{CLOSE}|$)", re.DOTALL)


class Calls:
    """Puts together the calls of an OpenAI-compatible stream, which come in fragments."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}

    def take(self, fragments: list[dict[str, Any]] | None) -> None:
        """The ``tool_calls`` of one delta."""
        for place, fragment in enumerate(fragments or []):
            part = self._parts.setdefault(fragment.get("index") or place, {"id": "", "name": "", "arguments": ""})
            function = fragment.get("function") or {}
            part["id"] = fragment.get("id") or part["id"]
            part["name"] += function.get("name") or ""
            part["arguments"] += function.get("arguments") or ""

    def found(self) -> list[Call]:
        """All calls, in their order."""
        return [call_of(part["name"], part["arguments"], part["id"]) for _, part in sorted(self._parts.items())]


def call_of(name: str, arguments: Any, called: str = "") -> Call:
    """A call; ``arguments`` may be JSON text."""
    if isinstance(arguments, str):
        with suppress(ValueError):
            read = json.loads(arguments or "{}")
            arguments = read if isinstance(read, dict) else arguments
    return {"id": called, "name": str(name), "arguments": arguments}


def parse(tokenizer: Any, text: str, prompt: str) -> tuple[str, list[Call]]:
    """``(what is said, calls)`` of an answer as the model wrote it, its special tokens included.

    By the tokenizer's own ``response_template`` where it has one.
    """
    if getattr(tokenizer, "response_template", None):
        read = tokenizer.parse_response(text, prefix=prompt)
        found = [_from_json(call) for call in read.get("tool_calls") or []]
        return str(read.get("content") or ""), _numbered(found)
    written = _BETWEEN.findall(text)
    said = _BETWEEN.sub("", text).strip()
    if not written and said.startswith(("{", "[")):
        written, said = [said], ""
    calls: list[Call | None] = []
    for piece in written:
        try:
            read = json.loads(piece)
        except ValueError:
            return text, []
        calls += [_from_json(each) for each in (read if isinstance(read, list) else [read])]
    return (said, _numbered(calls)) if calls and all(calls) else (text, [])


def _from_json(read: Any) -> Call | None:
    """One call in the shapes that models write: OpenAI's, Hermes' and Llama's."""
    inner = read.get("function", read) if isinstance(read, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return None
    return call_of(inner["name"], inner.get("arguments", inner.get("parameters", {})))


def _numbered(calls: list[Call | None]) -> list[Call]:
    return [{**call, "id": call["id"] or f"call_{number}"} for number, call in enumerate(calls) if call is not None]
