"""The tasks of an encoder-decoder: what it writes for a text, and how likely it finds the right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.devices import torch_device
from engine.evaluation.answers import IGNORED, LONGEST, Answers
from engine.models.load import load_seq2seq
from engine.models.source import source

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store.datasets import DatasetRecord


class Transduced(Answers):
    """As :class:`Answers`, but the prompt is the encoder's, and the answer the decoder's alone."""

    def __init__(self, folder: Path, record: DatasetRecord, max_tokens: int, *, write: bool) -> None:
        """Raises ``ModelError``."""
        model, self._tokenizer = load_seq2seq(folder, dtype="float32")
        self._model = model.to(torch_device())
        self._record, self._max_tokens, self._write = record, max_tokens, write
        self.labels = []

    def _tokens(self, chat: list[dict[str, str]]) -> tuple[list[int], list[int]]:
        read = self._tokenizer(source(chat[:-1]))["input_ids"][:LONGEST]
        answer = self._tokenizer(text_target=chat[-1]["content"])["input_ids"][:LONGEST]
        stop = self._tokenizer.eos_token_id
        return read, answer if stop is None or answer[-1:] == [stop] else [*answer, stop]

    def _likelihood(self, prompts: list[list[int]], answers: list[list[int]]) -> list[float]:
        import torch

        ids, mask = self._padded(prompts, left=False)
        labels, there = self._padded(answers, left=False)
        labels = labels.masked_fill(there == 0, IGNORED)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask, labels=labels).logits.float()
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        return [round(value, 6) for value in losses.double().sum(-1).tolist()]

    def _written(self, ids: Any, out: Any) -> Any:  # noqa: ARG002
        return out
