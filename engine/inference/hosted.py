"""The near side of a torch model: the Protocol over a helper process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.inference.protocol import Facts, Message, Sampling, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.jobs.context import CancelToken
    from engine.jobs.host import Host


class Hosted:
    """A model (or one adapter on it) whose base lives in ``host``; several of these may share one base."""

    def __init__(self, name: str, host: Host, adapter: str = "", version: str = "") -> None:
        """``version`` tells an adapter from an earlier one in the same folder."""
        self.usage = Usage()
        self._name, self._host, self._adapter, self._version = name, host, adapter, version
        self._facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """Loads the model when it is not loaded yet. Raises ``ModelError``."""
        if self._facts is None:
            found: dict[str, Any] = self._host.call("facts")
            self._facts = Facts(name=self._name, backend="transformers", adapter=self._adapter, **found)
        return self._facts

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        """Pieces of the answer. Raises ``ModelError``."""
        self.usage = Usage()
        for item in self._host.stream("stream", cancel, messages=messages, sampling=sampling.as_dict(), adapter=self._adapter, version=self._version):
            if "usage" in item:
                self.usage = Usage(**item["usage"])
            else:
                yield item["text"]

    def count(self, messages: list[Message]) -> int:
        found: int = self._host.call("count", messages=messages)
        return found

    def close(self) -> None:
        """The base may serve others: the pool closes it with the last."""
