"""What a server says while it answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engine.inference.calls import Calls
from engine.inference.protocol import decoding_rate
from engine.inference.stops import Stops
from engine.inference.thoughts import Thoughts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.inference.protocol import Call, Usage


class Heard:
    """Reads an OpenAI-compatible stream from now on: its text, cut before the first of ``stops``, and the tools that it calls.
    How fast it comes and how it ends is written into ``usage``."""

    def __init__(self, usage: Usage, stops: Sequence[str] = ()) -> None:
        self.stops = Stops(stops)
        self._usage, self._calls, self._thoughts = usage, Calls(), Thoughts()
        self._began = time.monotonic()

    def take(self, chunk: dict[str, Any]) -> Iterator[str]:
        """The pieces of text in one chunk."""
        usage = self._usage
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {"content": choice.get("text")}
            self._calls.take(delta.get("tool_calls"))
            if text := self.stops.take(self._thoughts.take(delta)):
                usage.first_token = usage.first_token or time.monotonic() - self._began
                usage.completion_tokens += 1
                usage.rate = decoding_rate(usage.completion_tokens, time.monotonic() - self._began - usage.first_token)
                yield text
            if choice.get("finish_reason"):
                usage.finish = "length" if choice["finish_reason"] == "length" else "stop"

    def calls(self) -> list[Call]:
        """The tools that were called, in their order."""
        return self._calls.found()
