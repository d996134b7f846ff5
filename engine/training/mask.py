"""Which tokens carry loss: the answer and its stop token, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.models.turns import completion_tokens, prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

IGNORED = -100
"""The label that the loss leaves out."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens. ``labels`` are ``input_ids`` where loss is taken and ``IGNORED`` elsewhere; ``cut`` is how
    many tokens of the prompt had to go."""

    input_ids: list[int]
    labels: list[int]
    cut: int = 0


def encode(tokenizer: Any, messages: Sequence[dict[str, str]], max_length: int) -> Encoded | None:
    """A conversation whose last message is the answer to learn.

    A row longer than ``max_length`` tokens loses the beginning of its prompt, never a part of its answer; ``None``
    when the answer alone leaves no room for a prompt.
    """
    prompt = prompt_tokens(tokenizer, messages[:-1])
    answer = completion_tokens(tokenizer, messages[-1]["content"])
    room = max_length - len(answer)
    if room < 1:
        return None
    cut = max(0, len(prompt) - room)
    prompt = prompt[cut:]
    return Encoded(prompt + answer, [IGNORED] * len(prompt) + answer, cut)


@dataclass(frozen=True, slots=True)
class MaskRow:
    """One row of the mask view: each token's text and whether it carries loss."""

    tokens: list[tuple[str, bool]]
    stop_trained: bool

    @property
    def trained(self) -> int:
        return sum(1 for _, carries in self.tokens if carries)


def preview(tokenizer: Any, rows: Sequence[dict[str, list[int]]], first: int = 3) -> list[MaskRow]:
    """The exact tokens of the first rows, which of them carry loss, and whether the stop token is trained."""
    views = []
    for row in rows[:first]:
        pairs = list(zip(row["input_ids"], row["labels"], strict=True))
        tokens = [(str(tokenizer.decode([token])), label != IGNORED) for token, label in pairs]
        views.append(MaskRow(tokens, bool(pairs) and pairs[-1][1] == tokenizer.eos_token_id))
    return views


def describe(views: Sequence[MaskRow]) -> str:
    """The mask view in a line a row, for a job's log."""
    return "; ".join(
        f"row {number}: {len(view.tokens)} tokens, {view.trained} carry loss, stop token trained: {'yes' if view.stop_trained else 'NO'}"
        for number, view in enumerate(views)
    )
