"""Answers to the same held-out prompts each time the held-out loss is measured: what the numbers look like in words."""
# ruff: noqa: ARG002 -- the signatures are those of the Trainer's callbacks

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from engine.training.mask import IGNORED

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from engine.jobs.context import JobContext
    from engine.training.rows import Prepared

FILE = "samples.jsonl"
TOKENS = 48
OPENING = 16
"""Tokens of a plain text, which has no prompt, that are read before the rest is written."""
SHOWN = 160
"""Characters of a prompt or an answer in the log; the file has them whole."""


class Samples(TrainerCallback):  # type: ignore[misc]
    """Greedy answers to the first ``count`` held-out prompts. No random number is drawn: the losses stay as they are."""

    def __init__(self, job: JobContext, prepared: Prepared, count: int) -> None:
        self._job, self._tokenizer, self._rows = job, prepared.tokenizer, prepared.held_out[:count]

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        model = kwargs["model"]
        learning = model.training
        model.eval()
        try:
            for number, row in enumerate(self._rows, 1):
                read, labels = list(row["input_ids"]), list(row["labels"])
                if not model.config.is_encoder_decoder:
                    prompt = sum(label == IGNORED for label in labels) or OPENING
                    read, labels = read[:prompt], labels[prompt:]
                self._tell(number, state.global_step, read, labels, self._answer(model, read))
        finally:
            model.train(learning)

    def _answer(self, model: Any, read: list[int]) -> str:
        ids = torch.tensor([read], device=next(model.parameters()).device)
        with torch.no_grad():
            written = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False, use_cache=True,
                pad_token_id=self._tokenizer.pad_token_id, eos_token_id=self._tokenizer.eos_token_id,
            )  # fmt: skip
        # An encoder-decoder gives back what it wrote alone.
        answer = written[0] if model.config.is_encoder_decoder else written[0, len(read) :]
        return str(self._tokenizer.decode(answer, skip_special_tokens=True))

    def _tell(self, number: int, step: int, read: list[int], labels: list[int], answer: str) -> None:
        learnt = [token for token in labels if token != IGNORED]
        prompt, wanted = (str(self._tokenizer.decode(tokens, skip_special_tokens=True)) for tokens in (read, learnt))
        with (self._job.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "sample": number, "prompt": prompt, "wanted": wanted, "answer": answer}, ensure_ascii=False) + "\n")
        self._job.log(f"Step {step}, sample {number}: {_short(prompt, tail=True)} → {_short(answer) or '(nothing)'}")


def _short(text: str, *, tail: bool = False) -> str:
    """A text in a line; of a long one its beginning, or its end."""
    line = " ".join(text.split())
    if len(line) <= SHOWN:
        return line
    return f"…{line[-SHOWN:]}" if tail else f"{line[:SHOWN]}…"
