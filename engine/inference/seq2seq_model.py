"""An encoder-decoder (T5, BART and their like) on the torch side, living in a helper process as a ``TorchModel`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import set_torch_threads
from engine.inference.pictures import blind, pictured
from engine.inference.refusals import no_tools
from engine.inference.torch_model import TorchModel, _ends
from engine.models.load import checked_device, load_seq2seq
from engine.models.source import source

if TYPE_CHECKING:
    from engine.inference.protocol import Message, Sampling, Tool


class Seq2SeqModel(TorchModel):
    """It reads the conversation as one text (``engine.models.source``) and writes another; it has no template, no tools,
    and nothing of a conversation to keep for the next turn."""

    def __init__(self, name: str, folder: str, context: int, threads: int, device: str = "auto", dtype: str = "auto") -> None:
        """``dtype``: a torch dtype's name, or auto for float32, which these models were mostly trained in. Raises ``ModelError``."""
        set_torch_threads(threads)
        self._name, self._blind, self._processor = name, "", None
        self._device = self._where = checked_device(device)
        self._dtype = "float32" if dtype == "auto" else dtype
        self._model, self._tokenizer = load_seq2seq(Path(folder), dtype=self._dtype)
        self._model.to(self._device)
        self._context = min(context, getattr(self._model.config, "max_position_embeddings", None) or context)
        self._ends = _ends(self._model, self._tokenizer)
        self._constraint = None
        self._active, self._cache, self._cached, self._pictured = "", None, ("", []), False

    def _encode(self, messages: list[Message], adapter: str, tools: list[Tool] | None = None) -> Any:  # noqa: ARG002
        if pictured(messages):
            raise blind(self._name)
        if tools:
            raise no_tools(self._name)
        return self._tokenizer(source(messages), return_tensors="pt", return_token_type_ids=False).to(self._device)

    def _switch(self, adapter: str, version: str, ids: list[int]) -> int:  # noqa: ARG002
        return 0

    def _how(self, sampling: Sampling, prompt: int) -> dict[str, Any]:  # noqa: ARG002
        """What is written begins behind the decoder's start token, however long the text is that was read."""
        return super()._how(replace(sampling, lookup=0), 1)

    def _usage(self, tokens: list[int], prompt: int, decoding: float) -> dict[str, Any]:
        from engine.inference.protocol import decoding_rate

        made = len(tokens) - 1
        finish = "stop" if made and tokens[-1] in self._ends else "length"
        return {"prompt_tokens": prompt, "completion_tokens": made, "rate": decoding_rate(made, decoding), "finish": finish}
