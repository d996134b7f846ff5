"""The tasks of a chat model: what it answers, and how likely it finds the right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.shape import as_messages
from engine.devices import bf16_pays, torch_device
from engine.errors import DataError
from engine.evaluation import labels, metrics, scores, texts
from engine.evaluation.tasks import both
from engine.inference.writer import Writer
from engine.models.load import load_causal
from engine.models.turns import completion_tokens, prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken
    from engine.store.datasets import DatasetRecord

LONGEST = 2048
"""Tokens of prompt that are read at most; the beginning of a longer one is left out."""
IGNORED = -100


def make(asked: Asked) -> Answers:
    """Raises ``ModelError``."""
    write = asked.spec.task == "generation"
    kind = asked.job.workspace.models.get(asked.spec.model).kind
    if kind == "endpoint":
        from engine.evaluation.served import Served

        task: Answers = Served(asked)
    elif kind == "seq2seq":
        from engine.evaluation.transduced import Transduced

        task = Transduced(asked.folder, asked.dataset, asked.spec.max_tokens, write=write)
    else:
        workspace, writer = asked.job.workspace, None
        if write and asked.spec.backend == "llamacpp":
            writer = Writer(workspace, workspace.models.get(asked.spec.model), asked.spec.batch_size)
        dtype = "bfloat16" if bf16_pays() and not workspace.settings.precise else "float32"
        task = _reader(asked.dataset)(asked.folder, asked.adapter, asked.dataset, asked.spec.max_tokens, write=write, dtype=dtype, writer=writer)
    if asked.dataset.shape == "classification":
        task.labels = sorted({str(value) for value in asked.rows[asked.dataset.columns["label"]] if value not in (None, "")})
    return task


def _reader(dataset: DatasetRecord) -> type[Answers]:
    if dataset.shape == "text":
        from engine.evaluation.plain import Plain

        return Plain
    return Answers


class Answers:
    """What a chat model answers, word for word (greedy), and how likely it found the right answer.

    Predictions: prompt, reference, prediction, correct, rouge_l, chrf, nll (nats, the stop token included), tokens.
    With ``write`` False nothing is generated: perplexity alone, at the price of one forward pass. With a ``writer`` that one
    writes, and transformers reads: llama.cpp tells no likelihood of an answer that was not its own.
    """

    writer: Writer | None = None

    def __init__(
        self, folder: Path, adapter: Path | None, record: DatasetRecord, max_tokens: int, *, write: bool, dtype: str, writer: Writer | None = None
    ) -> None:
        """``dtype`` is a torch dtype's name. Raises ``ModelError``."""
        model, self._tokenizer = load_causal(folder, adapter, dtype=dtype)
        self._model = model.to(torch_device())
        self.writer = writer
        self._record = record
        self._max_tokens = max_tokens
        self._write = write
        self.labels: list[str] = []
        """The dataset's labels, when an answer should be one of them."""

    def usable(self, row: dict[str, Any]) -> bool:
        try:
            as_messages(self._record, row)
        except DataError:  # This row has no answer to measure against.
            return False
        return True

    def length(self, row: dict[str, Any]) -> int:
        return sum(len(message["content"]) for message in as_messages(self._record, row))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> Iterable[dict[str, Any]]:
        chats = [as_messages(self._record, row) for row in rows]
        tokens = [self._tokens(chat) for chat in chats]
        prompts, answers = [prompt for prompt, _ in tokens], [answer for _, answer in tokens]
        sums = self._likelihood(prompts, answers)
        if not self._write:
            written: Sequence[str | None] = [None] * len(chats)
        else:
            written = self.writer.write(prompts, self._max_tokens, token) if self.writer else self._generate(prompts, token)
        found = []
        for chat, answer, nll, said in zip(chats, answers, sums, written, strict=True):
            reference = chat[-1]["content"]
            kept = {"prompt": chat[-2]["content"], "reference": reference, "nll": nll, "tokens": len(answer)}
            found.append(kept if said is None else {**kept, **self._judged(said, reference)})
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        meant = [row["reference"] for row in predictions]
        sizes = [len(text.encode()) for text in meant]
        found = texts.read([row["nll"] for row in predictions], [row["tokens"] for row in predictions], sizes)
        if not self._write:
            return found
        backend = self.writer.says if self.writer else f"transformers, {str(self._model.dtype).removeprefix('torch.')}"
        return {"backend": backend, **both(found, self._of_words(predictions))}

    def _of_words(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The figures of what was written."""
        meant = [row["reference"] for row in predictions]
        found = texts.written([row["prediction"] for row in predictions], meant)
        return both(found, labels.labelled([row["label"] for row in predictions], meant)) if self.labels else found

    def _tokens(self, chat: list[dict[str, str]]) -> tuple[list[int], list[int]]:
        """What is read, and what should be written after it."""
        return prompt_tokens(self._tokenizer, chat[:-1])[-LONGEST:], completion_tokens(self._tokenizer, chat[-1]["content"])[:LONGEST]

    def _judged(self, said: str, reference: str) -> dict[str, Any]:
        kept = {"prediction": said, "rouge_l": round(metrics.rouge_l(said, reference), 5), "chrf": round(metrics.chrf(said, reference), 3)}
        if not self.labels:
            return {**kept, "correct": scores.exact(said, reference)}
        label = metrics.nearest_label(said, self.labels)
        return {**kept, "label": label, "correct": label == reference}

    def _likelihood(self, prompts: list[list[int]], answers: list[list[int]]) -> list[float]:
        """Negative log-likelihood of each answer after its prompt, in nats: the model reads what it should have written."""
        import torch

        ids, mask = self._padded([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)], left=False)
        labels = torch.full_like(ids, IGNORED)
        for at, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            labels[at, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer, device=ids.device)
        with torch.inference_mode():
            logits = (
                self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -ids.shape[1] : -1].float()
            )  # behind the tokens of a tuned prompt
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")
        return [round(value, 6) for value in losses.double().sum(-1).tolist()]

    def _generate(self, prompts: list[list[int]], token: CancelToken) -> list[str]:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        ids, mask = self._padded(prompts, left=True)
        ends = self._model.generation_config.eos_token_id
        stops = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        how = GenerationConfig(
            max_new_tokens=self._max_tokens, do_sample=False, pad_token_id=self._tokenizer.pad_token_id, eos_token_id=sorted(stops)
        )

        def asked(input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG001
            return torch.full((input_ids.shape[0],), token.asked, dtype=torch.bool, device=input_ids.device)

        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids, attention_mask=mask, generation_config=how, stopping_criteria=StoppingCriteriaList([asked]), use_cache=True
            )
        texts = self._tokenizer.batch_decode(self._written(ids, out), skip_special_tokens=True)
        return [str(text).strip() for text in texts]

    def _written(self, ids: Any, out: Any) -> Any:
        """Of what ``generate`` gives back, the part that was written."""
        return out[:, ids.shape[1] :]

    def _padded(self, rows: list[list[int]], *, left: bool) -> tuple[Any, Any]:
        """``(input_ids, attention_mask)`` of shape (rows, longest), int64, on the model's device."""
        import torch

        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self._tokenizer.pad_token_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for at, row in enumerate(rows):
            start = longest - len(row) if left else 0
            ids[at, start : start + len(row)] = torch.tensor(row)
            mask[at, start : start + len(row)] = 1
        return ids.to(self._model.device), mask.to(self._model.device)
