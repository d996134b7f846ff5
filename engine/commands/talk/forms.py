"""What an answer must look like and what it may call: read from files, and what to say of them afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError

if TYPE_CHECKING:
    from engine.inference.protocol import Backend, Sampling, Tool


def read_schema(given: str) -> dict[str, Any] | None:
    """A JSON schema from a file or from the words themselves; nothing for nothing. Raises ``BitternError``."""
    if not given.strip():
        return None
    found = _json(given, "JSON schema")
    if not isinstance(found, dict):
        raise BitternError("A JSON schema is an object.", 'Such as {"type": "object", "properties": {"name": {"type": "string"}}}.')
    return found


def read_tools(file: str) -> list[Tool]:
    """Tools from a JSON file: a list (or one) of functions, bare or as OpenAI writes them. Raises ``BitternError``."""
    if not file.strip():
        return []
    found = _json(file, "file of tools")
    tools = [
        tool if isinstance(tool, dict) and "function" in tool else {"type": "function", "function": tool}
        for tool in (found if isinstance(found, list) else [found])
    ]
    for number, tool in enumerate(tools, 1):
        function = tool["function"]
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not isinstance(function.get("parameters", {}), dict):
            raise BitternError(
                f"Tool {number} has no name, or its parameters are no JSON schema.", 'Write {"name", "description", "parameters": {…}}.'
            )
    return tools


def _json(given: str, what: str) -> Any:
    text, place = given, f"The {what}"
    if not given.lstrip().startswith(("{", "[")):
        place = given
        try:
            text = Path(given).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BitternError(
                f"The {what} {given} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}.", "Give a JSON file."
            ) from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise BitternError(f"{place} is no JSON: {error}.", "Mend it there.") from None


def value_of(answer: str) -> Any:
    """The JSON that an answer is; nothing where it was cut off."""
    try:
        return json.loads(answer)
    except ValueError:
        return None


def remarks(backend: Backend, sampling: Sampling) -> str:
    """What a person should know of an answer besides its words."""
    said = [f"It would call {call['name']}({json.dumps(call['arguments'], ensure_ascii=False)})." for call in backend.calls]
    if (sampling.schema is not None or sampling.regex or sampling.choices) and backend.usage.finish == "length":
        said.append("The answer was cut off at --max-tokens, before it had the form that was asked for.")
    return "\n".join(said)
