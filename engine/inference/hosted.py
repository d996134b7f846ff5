"""A model, or an adapter on it, whose base lives in a helper process that several share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.inference.protocol import Facts, Read, Usage, unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.inference.protocol import Call, Message, Sampling, Tool
    from engine.jobs.context import CancelToken
    from engine.jobs.host import Host


class Hosted:
    """A model (or one adapter on it) whose base lives in ``host``; several of these may share one base."""

    def __init__(self, name: str, host: Host, adapter: str = "", version: str = "", note: str = "") -> None:
        """``version`` tells an adapter from an earlier one in the same folder."""
        self.usage = Usage()
        self.calls: list[Call] = []
        self.reading: Callable[[Read], object] = unheard
        self.host = host
        self._name, self._adapter, self._version = name, adapter, version
        self._note = note
        self._facts: Facts | None = None

    @property
    def known(self) -> Facts | None:
        """The facts, if they were asked for already: nothing is loaded."""
        return self._facts

    @property
    def facts(self) -> Facts:
        """Loads the model when it is not loaded yet. Raises ``ModelError``."""
        if self._facts is None:
            found: dict[str, Any] = self.host.call("facts")
            self._facts = Facts(name=self._name, adapter=self._adapter, note=self._note, **found)
        return self._facts

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken, tools: Sequence[Tool] = ()) -> Iterator[str]:
        """Pieces of the answer. Raises ``ModelError``."""
        return self._pieces("stream", cancel, sampling, messages=messages, tools=list(tools))

    def complete(self, text: str, sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        """How a text goes on. Raises ``ModelError``."""
        return self._pieces("complete", cancel, sampling, text=text)

    def _pieces(self, method: str, cancel: CancelToken, sampling: Sampling, **values: Any) -> Iterator[str]:
        self.usage, self.calls = Usage(), []
        for item in self.host.stream(method, cancel, sampling=sampling.as_dict(), adapter=self._adapter, version=self._version, **values):
            if "usage" in item:
                self.usage = Usage(**item["usage"])
            elif "calls" in item:
                self.calls = item["calls"]
            elif "read" in item:
                self.reading(Read(*item["read"]))
            else:
                yield item["text"]

    def count(self, messages: list[Message]) -> int:
        found: int = self.host.call("count", messages=messages, adapter=self._adapter)
        return found

    def close(self) -> None:
        """The base may serve others: the pool closes it with the last."""
