"""How likely a model that writes finds plain texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.shape import as_text
from engine.evaluation.answers import LONGEST, Answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.jobs.context import CancelToken

AT_ONCE = 2048
"""Tokens in one forward pass: a vocabulary of fifty thousand makes 400 MB of logits of them."""


class Plain(Answers):
    """Every token of a text is foretold once, from what stands before it in its window; the first one from the token that
    begins a text, or the stop token where there is none. A window begins with the last token of the one before it (as
    lm-evaluation-harness rolls them).

    Predictions: prompt (empty), reference, nll (nats), tokens.
    """

    def usable(self, row: dict[str, Any]) -> bool:
        return bool(as_text(self._record, row).strip())

    def length(self, row: dict[str, Any]) -> int:
        return len(as_text(self._record, row))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:
        texts = [as_text(self._record, row) for row in rows]
        tokens = self._tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        windows = [(row, *window) for row, own in enumerate(tokens) for window in self._windows(own)]
        nats = [0.0] * len(rows)
        each = max(1, AT_ONCE // max((len(answer) for _, _, answer in windows), default=1))
        for start in range(0, len(windows), each):
            if token.asked:  # What is returned then is thrown away.
                break
            some = windows[start : start + each]
            sums = self._likelihood([before for _, before, _ in some], [answer for _, _, answer in some])
            for (row, _, _), value in zip(some, sums, strict=True):
                nats[row] += value
        return [
            {"prompt": "", "reference": text, "nll": round(value, 6), "tokens": len(own)}
            for text, value, own in zip(texts, nats, tokens, strict=True)
        ]  # fmt: skip

    def _windows(self, tokens: list[int]) -> list[tuple[list[int], list[int]]]:
        """``(what is read before, what is foretold)``, in order."""
        places = getattr(self._model.config, "max_position_embeddings", None) or LONGEST
        long = min(LONGEST, places) - 1
        begin = self._tokenizer.bos_token_id if self._tokenizer.bos_token_id is not None else self._tokenizer.eos_token_id
        read = [begin, *tokens]
        return [(read[at : at + 1], tokens[at : at + long]) for at in range(0, len(tokens), long)]
