"""Which tokens carry loss: the answer and its stop token, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.models.turns import completion_tokens, prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

IGNORED = -100
"""The label that the loss leaves out."""

Part = Literal["loss", "read", "cut"]
"""A token that is learnt; one that is only read; one that the model never sees, since the row is too long."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens. ``labels`` are ``input_ids`` where loss is taken and ``IGNORED`` elsewhere; ``cut`` is how
    many tokens of the prompt had to go."""

    input_ids: list[int]
    labels: list[int]
    cut: int = 0

    @property
    def prompt(self) -> int:
        """Tokens before the first that carries loss."""
        return next((at for at, label in enumerate(self.labels) if label != IGNORED), len(self.labels))


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


def of_texts(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Plain texts as continued pretraining reads them: what begins a text where the tokenizer puts it, the text, and the
    stop token if there is one. Control tokens inside a text are text."""
    if not texts:
        return []
    first = tokenizer("a")["input_ids"][:1]
    start = first if tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id] else []
    stop = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return [[*start, *ids, *stop] for ids in tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]]


@dataclass(frozen=True, slots=True)
class MaskRow:
    """One row of the mask view: the text of each token, its number, and what is done with it."""

    tokens: list[tuple[str, int, Part]]
    stop_trained: bool

    @property
    def trained(self) -> int:
        return sum(1 for _, _, part in self.tokens if part == "loss")

    def as_dict(self, special: set[int]) -> dict[str, Any]:
        tokens = [{"text": text, "id": number, "part": part, "special": number in special} for text, number, part in self.tokens]
        return {"tokens": tokens, "loss": self.trained, "stop_trained": self.stop_trained}


def preview(tokenizer: Any, rows: Sequence[dict[str, list[int]]], first: int = 3) -> list[MaskRow]:
    """The exact tokens of the first rows, which of them carry loss, and whether the stop token is trained."""
    return [_view(tokenizer, row["input_ids"], row["labels"]) for row in rows[:first]]


def look(tokenizer: Any, messages: Sequence[dict[str, str]], max_length: int) -> MaskRow:
    """A conversation as training sees it, with what does not fit ``max_length`` tokens marked as cut."""
    whole = encode(tokenizer, messages, 10**9)
    kept = encode(tokenizer, messages, max_length)
    if whole is None or kept is None:
        prompt, answer = prompt_tokens(tokenizer, messages[:-1]), completion_tokens(tokenizer, messages[-1]["content"])
        return MaskRow([(str(tokenizer.decode([token])), token, "cut") for token in prompt + answer], stop_trained=False)
    gone: list[tuple[str, int, Part]] = [(str(tokenizer.decode([token])), token, "cut") for token in whole.input_ids[: kept.cut]]
    view = _view(tokenizer, kept.input_ids, kept.labels)
    return MaskRow(gone + view.tokens, view.stop_trained)


def look_plain(tokenizer: Any, text: str, max_length: int) -> tuple[MaskRow, Encoded]:
    """A plain text as continued pretraining sees it, the first ``max_length`` tokens of it to be looked at: a longer one goes
    on in the next block."""
    [ids] = of_texts(tokenizer, [text])
    view = _view(tokenizer, ids[:max_length], ids[:max_length])
    return MaskRow(view.tokens, stop_trained=tokenizer.eos_token_id is not None), Encoded(ids, ids)


def _view(tokenizer: Any, ids: list[int], labels: list[int]) -> MaskRow:
    tokens: list[tuple[str, int, Part]] = [
        (str(tokenizer.decode([token])), token, "loss" if label != IGNORED else "read") for token, label in zip(ids, labels, strict=True)
    ]
    return MaskRow(tokens, bool(labels) and tokenizer.eos_token_id is not None and labels[-1] == tokenizer.eos_token_id)


def describe(views: Sequence[MaskRow]) -> str:
    """The mask view in a line a row, for a job's log."""
    return "; ".join(
        f"row {number}: {len(view.tokens)} tokens, {view.trained} carry loss, stop token trained: {'yes' if view.stop_trained else 'NO'}"
        for number, view in enumerate(views)
    )
