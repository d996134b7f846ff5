"""The llama.cpp side of a helper process (``engine.jobs.host``): a GGUF with its adapters beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from engine.inference.llamacpp import LlamaCpp
from engine.inference.protocol import Read, Sampling
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.inference.protocol import Message, Tool
    from engine.jobs.context import CancelToken


class LlamaModel:
    """What ``TorchModel`` is for transformers. An abort in llama.cpp ends the process that it is in: it has one of its own,
    so that neither the screen nor its jobs go with it."""

    def __init__(self, record: dict[str, Any], settings: dict[str, Any], adapters: Sequence[Sequence[str]], *, cpu: bool) -> None:
        """The fields of a ``ModelRecord`` and of ``Settings``; ``adapters`` are pairs of a GGUF's path and a version of it.
        Raises ``ModelError``."""
        beside = {_key(path, version): Path(path) for path, version in adapters}
        # Not a ``Settings``: what the parent decided holds, and pydantic takes a quarter of a second to come.
        chosen: Any = SimpleNamespace(**settings)
        self._model = LlamaCpp(ModelRecord(**record), chosen, beside, cpu=cpu)

    def facts(self, cancel: CancelToken) -> dict[str, Any]:  # noqa: ARG002
        """All but the name, the adapter and the note, which differ between those who share it."""
        return {name: value for name, value in asdict(self._model.facts).items() if name not in ("name", "adapter", "note")}

    def count(self, messages: list[Message], cancel: CancelToken, adapter: str = "") -> int:  # noqa: ARG002
        return self._model.count(messages)

    def stream(
        self, messages: list[Message], sampling: dict[str, Any], adapter: str, version: str, cancel: CancelToken, tools: list[Tool] | None = None
    ) -> Iterator[dict[str, Any]]:
        """``{"read"}`` (done, total) while the prompt is read, ``{"text"}`` pieces, then ``{"usage"}`` and ``{"calls"}``; with one
        of the adapters, or with none."""
        asked = Sampling.from_dict(sampling)
        return self._told(self._model.heard(messages, asked, cancel, tools or (), _key(adapter, version)))

    def complete(self, text: str, sampling: dict[str, Any], adapter: str, version: str, cancel: CancelToken) -> Iterator[dict[str, Any]]:
        """Like :meth:`stream`, for a text with no template."""
        return self._told(self._model.heard(text, Sampling.from_dict(sampling), cancel, (), _key(adapter, version)))

    def _told(self, pieces: Iterator[str | Read]) -> Iterator[dict[str, Any]]:
        for piece in pieces:
            yield {"read": [piece.done, piece.total]} if isinstance(piece, Read) else {"text": piece}
        yield {"usage": asdict(self._model.usage)}
        yield {"calls": self._model.calls}


def _key(path: str, version: str) -> str:
    return f"{path} {version}" if path else ""
