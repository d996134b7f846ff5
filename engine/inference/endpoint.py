"""A model behind a server's door: the Protocol over OpenAI's chat completions."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.hub.endpoint import Server, key_of
from engine.inference.calls import written
from engine.inference.constraint import grammar
from engine.inference.heard import Heard
from engine.inference.pictures import sent
from engine.inference.protocol import Facts, Read, Sampling, Usage, unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.inference.protocol import Call, Message, Tool
    from engine.jobs.context import CancelToken
    from engine.settings import Settings
    from engine.store.models import ModelRecord

BYTES_A_TOKEN = 3
"""A careful guess: a server has no common way to count tokens, and too few would overrun its window."""

PICTURE = 800
"""Tokens of a picture, by as careful a guess."""


class Endpoint:
    """A served model. Nothing is loaded here; the server keeps the prefix of a conversation, if it does."""

    def __init__(self, record: ModelRecord, settings: Settings) -> None:
        """Raises ``ModelError`` where the key is missing."""
        facts = record.facts
        self.usage = Usage()
        self.calls: list[Call] = []
        self.reading: Callable[[Read], object] = unheard
        self._model = str(facts["model"])
        self._key = key_of(str(facts.get("key_env", "")), str(facts.get("keyring", "")))
        self._facts = Facts(record.name, "endpoint", int(facts.get("context") or settings.context), str(facts["url"]), sees=True)

    @property
    def facts(self) -> Facts:
        return self._facts

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken, tools: Sequence[Tool] = ()) -> Iterator[str]:
        """Pieces of the answer. Raises ``ModelError``."""
        grammar(sampling)  # Says what can't be followed before anything is sent.
        request = {**_request(sampling), "messages": [sent(written(message)) for message in messages], "stream_options": {"include_usage": True}}
        if tools:
            request["tools"] = list(tools)
        return self._pieces(lambda server: server.chat(request, self._model), sampling, cancel)

    def complete(self, text: str, sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        """How a text goes on. Raises ``ModelError``."""
        request = {**_request(sampling), "prompt": text}
        return self._pieces(lambda server: server.complete(request, self._model), sampling, cancel)

    def _pieces(self, ask: Callable[[Server], Iterator[dict[str, Any]]], sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        usage = self.usage = Usage()
        self.calls = []
        heard, server = Heard(usage, sampling.stop), Server(self._facts.name, self._facts.device, self._key)
        for chunk in _heard(server, ask(server), cancel):
            yield from heard.take(chunk)
            if told := chunk.get("usage"):
                usage.prompt_tokens = told.get("prompt_tokens") or 0
                usage.completion_tokens = told.get("completion_tokens") or usage.completion_tokens
                usage.cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            if heard.stops.hit:
                usage.finish = "stop"
                break
        if rest := heard.stops.rest():
            yield rest
        self.calls = heard.calls()
        usage.finish = "cancel" if cancel.asked else usage.finish or "stop"

    def count(self, messages: list[Message]) -> int:
        """Tokens of the conversation, by a careful guess."""
        calls = (call["function"] for message in messages for call in written(message).get("tool_calls", ()))
        called = sum(16 + _size(call["name"] + call["arguments"]) for call in calls)
        return called + sum(8 + _size(message.get("content") or "") for message in messages)

    def close(self) -> None:
        """Nothing is held here."""


def _size(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, list):
        return sum(_size(part["text"]) if part["type"] == "text" else PICTURE for part in content)
    return len(content.encode()) // BYTES_A_TOKEN


def _heard(server: Server, chunks: Iterator[dict[str, Any]], cancel: CancelToken) -> Iterator[dict[str, Any]]:
    """The chunks, read by a thread of its own: a cancel is heard while the server says nothing."""
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gone = threading.Event()

    def read() -> None:
        try:
            for chunk in chunks:
                heard.put(chunk)
                if gone.is_set():
                    break
            heard.put(None)
        except BaseException as error:
            heard.put(error)
        finally:
            chunks.close()  # type: ignore[attr-defined]

    threading.Thread(target=read, name="endpoint", daemon=True).start()
    try:
        while not cancel.asked:
            with suppress(queue.Empty):
                found = heard.get(timeout=0.1)
                if found is None:
                    return
                if isinstance(found, BaseException):
                    raise found
                yield found
    finally:
        gone.set()
        server.hang_up()


def _request(sampling: Sampling) -> dict[str, Any]:
    """The request in OpenAI's words; what only some servers know goes along as they call it, in ``extra_body``, or in
    ``spare`` where nobody asked for it: a server may leave out our usual penalty, but not one that a person set."""
    more: dict[str, Any] = {}
    spare: dict[str, Any] = {}
    usual = Sampling()
    if sampling.top_k:
        (spare if sampling.top_k == usual.top_k else more)["top_k"] = sampling.top_k
    if sampling.min_p:
        more["min_p"] = sampling.min_p
    if (penalty := sampling.repetition_penalty) != 1:
        # vLLM and TGI, llama.cpp, each by its name.
        names = {"repetition_penalty": penalty, "repeat_penalty": penalty}
        (spare if penalty == usual.repetition_penalty else more).update(names)
    if sampling.regex or sampling.choices:
        regex = sampling.regex or "|".join(_literal(choice) for choice in sampling.choices)
        more |= {"guided_regex": regex, "grammar": f"%llguidance {{}}\n{grammar(sampling)}"}
    if sampling.schema is not None:
        more["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": sampling.schema, "strict": True}}
    request: dict[str, Any] = {
        "max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p, "extra_body": more,
        "spare": spare,
    }  # fmt: skip
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    return request


def _literal(text: str) -> str:
    return "".join(f"\\{sign}" if sign in r"\.^$*+?{}[]|()/" else sign for sign in text)
