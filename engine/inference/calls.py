"""The tools that an answer calls: as a server streams them, or as the model wrote them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.inference.protocol import Call, Message

OPENINGS = ("<tool_call>", "[TOOL_CALLS]", "<|python_tag|>")
"""What a call begins with as Hermes, Qwen and SmolLM write it, as Mistral does, and as Llama 3 does (or it writes the JSON alone)."""
_BETWEEN = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|$)", re.DOTALL)
_NAMED = re.compile(r"([\w.-]+)(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?(?=\{)")
"""Mistral's later way: the name before the arguments."""


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


def as_message(calls: list[Call], said: str = "") -> Message:
    """An answer with its calls, as the Protocol's messages hold them."""
    functions = [{"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}} for call in calls]
    return {"role": "assistant", "content": said, "tool_calls": functions}


def written(message: Message) -> Message:
    """A message as servers take it: the arguments of its calls are JSON text."""
    return _with_arguments(message, lambda given: given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def unfolded(message: Message) -> Message:
    """A message as templates take it: the arguments of its calls are objects, where they are JSON."""
    return _with_arguments(message, lambda given: call_of("", given)["arguments"])


def _with_arguments(message: Message, change: Callable[[Any], Any]) -> Message:
    if not message.get("tool_calls"):
        return message
    calls = [{**call, "function": {**call["function"], "arguments": change(call["function"]["arguments"])}} for call in message["tool_calls"]]
    return {**message, "tool_calls": calls}


def parse(tokenizer: Any, text: str, prompt: str) -> tuple[str, list[Call]]:
    """``(what is said, calls)`` of an answer as the model wrote it, its special tokens included.

    By the tokenizer's own ``response_template`` where it has one. What can't be read as calls is said as it stands.
    """
    if getattr(tokenizer, "response_template", None):
        read = tokenizer.parse_response(text, prefix=prompt)
        found = [_from_json(call) for call in read.get("tool_calls") or []]
        return str(read.get("content") or ""), _numbered(found)
    specials = [token for token in tokenizer.all_special_tokens if token not in OPENINGS]
    for token in specials:
        text = text.replace(token, "")
    said, written = _split(text)
    try:
        calls = [call for piece in written for call in _read(piece)]
    except ValueError:
        return text, []
    return (said, _numbered(calls)) if calls and all(calls) else (text, [])


def _split(text: str) -> tuple[str, list[str]]:
    """What stands beside the calls, and the calls as they are written."""
    if "<tool_call>" in text:
        return _BETWEEN.sub("", text).strip(), _BETWEEN.findall(text)
    for opening in OPENINGS[1:]:
        said, *written = text.split(opening)
        if written:
            return said.strip(), [piece.strip() for piece in written]
    return ("", [text.strip()]) if text.lstrip().startswith(("{", "[")) else (text, [])


def _read(piece: str) -> list[Call | None]:
    """JSON of one call, of a list, or several behind each other (``;`` between them), each perhaps behind its name.

    Raises ``ValueError``.
    """
    calls: list[Call | None] = []
    decoder, at = json.JSONDecoder(), 0
    while at < len(piece):
        named = _NAMED.match(piece, at)
        read, at = decoder.raw_decode(piece, named.end() if named else at)
        calls += [call_of(named[1], read)] if named else [_from_json(each) for each in (read if isinstance(read, list) else [read])]
        at += len(piece[at:]) - len(piece[at:].lstrip(" \n\t;,"))
    return calls


def _from_json(read: Any) -> Call | None:
    """One call in the shapes that models write: OpenAI's, Hermes' and Llama's."""
    inner = read.get("function", read) if isinstance(read, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return None
    return call_of(inner["name"], inner.get("arguments", inner.get("parameters", {})))


def _numbered(calls: list[Call | None]) -> list[Call]:
    return [{**call, "id": call["id"] or f"call_{number}"} for number, call in enumerate(calls) if call is not None]
