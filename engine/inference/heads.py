"""Models with a head: what an encoder that was trained for it says of a text. For a process that may load torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import set_torch_threads, torch_device
from engine.errors import ModelError
from engine.models.load import cannot_load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.jobs.context import CancelToken

KINDS = ("classifier", "multilabel", "regressor", "tagger")
"""Kinds of model that have a head."""
LONGEST = 512
"""Tokens that are read of a text, where the model takes as many."""
_WORD = re.compile(r"[@#]?\w+(?:['’\-]\w+)*|[^\w\s]+")
_LINK = re.compile(r"https?://\S+|www\.\S+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, and where it stands in it."""

    text: str
    start: int
    end: int


class Head:
    """A model with its tokenizer. ``names`` are what its head says, in its order."""

    def __init__(self, folder: str | Path, kind: str, threads: int | None = None) -> None:
        """Raises ``ModelError``."""
        import transformers
        from safetensors import SafetensorError

        if threads is not None:
            set_torch_threads(threads)
        auto = transformers.AutoModelForTokenClassification if kind == "tagger" else transformers.AutoModelForSequenceClassification
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = auto.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise cannot_load(Path(folder), error) from error
        if kind == "tagger" and not self.tokenizer.is_fast:
            raise ModelError(f"The tokenizer in {folder} does not say which piece is of which word.", "It needs a tokenizer.json.")
        self.kind = kind
        self.model = model.eval().to(torch_device())
        self.names = [str(name) for _, name in sorted((int(number), name) for number, name in model.config.id2label.items())]
        self.longest = min(self.tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST)

    def figures(self, texts: Sequence[tuple[str, ...]]) -> Any:
        """Of each text, or of its two texts: probabilities of the labels (a classifier's add up to 1, a multilabel's stand
        each for itself), or a regressor's number. float32 of shape (texts, names), on the CPU."""
        import torch

        columns = [list(column) for column in zip(*texts, strict=True)]
        batch = self.tokenizer(*columns, padding=True, truncation=True, max_length=self.longest, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**batch).logits.float()
        if self.kind == "regressor":
            return logits.cpu()
        return (logits.sigmoid() if self.kind == "multilabel" else logits.softmax(-1)).cpu()

    def tags(self, rows: Sequence[Sequence[str]]) -> list[list[tuple[str, float]]]:
        """The likeliest tag of each word and its probability. A row that is too long for the model is read in parts; a word
        without a piece of its own (white space) is given the first of ``O`` and the names."""
        import torch

        parts = [(at, start, end) for at, words in enumerate(rows) for start, end in self._parts(words)]
        found = [[("O" if "O" in self.names else self.names[0], 1.0)] * len(words) for words in rows]
        if not parts:
            return found
        batch = self.tokenizer(
            [list(rows[at][start:end]) for at, start, end in parts], is_split_into_words=True, padding=True, truncation=True,
            max_length=self.longest, return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            best = self.model(**batch.to(self.model.device)).logits.float().softmax(-1).max(-1)
        for number, (at, start, _) in enumerate(parts):
            seen: set[int] = set()
            for piece, word in enumerate(batch.word_ids(number)):
                if word is not None and word not in seen:
                    seen.add(word)
                    found[at][start + word] = (self.names[int(best.indices[number, piece])], round(float(best.values[number, piece]), 5))
        return found

    def _parts(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """The words in runs whose pieces fit the model."""
        if not words:
            return []
        room = self.longest - self.tokenizer.num_special_tokens_to_add()
        pieces = [0] * len(words)
        for word in self.tokenizer(list(words), is_split_into_words=True, add_special_tokens=False, verbose=False).word_ids(0):
            if word is not None:
                pieces[word] += 1
        parts, start, taken = [], 0, 0
        for at, count in enumerate(pieces):
            if taken + count > room and at > start:
                parts.append((start, at))
                start, taken = at, 0
            taken += count
        return [*parts, (start, len(words))]

    def predict(self, cancel: CancelToken, text: str, second: str = "") -> dict[str, Any]:  # noqa: ARG002 -- a call of a Host
        """What the model says of a text, as JSON: ``number``; ``labels`` with their probabilities; or ``words`` with tags."""
        if self.kind == "tagger":
            words = words_of(text)
            tags = self.tags([[word.text for word in words]])[0]
            return {
                "words": [
                    {"word": word.text, "start": word.start, "end": word.end, "tag": tag, "probability": probability}
                    for word, (tag, probability) in zip(words, tags, strict=True)
                ]
            }
        [figures] = self.figures([(text, second) if second else (text,)]).tolist()
        if self.kind == "regressor":
            return {"number": round(figures[0], 6), "name": self.names[0]}
        shares = sorted(zip(self.names, figures, strict=True), key=lambda pair: -pair[1])
        return {"labels": [{"label": name, "probability": round(share, 6)} for name, share in shares]}


def words_of(text: str) -> list[Word]:
    """The words of a typed text: links, words (``@name`` and ``#topic`` whole), and signs."""
    found = []
    at = 0
    while at < len(text):
        match = _LINK.match(text, at) or _WORD.match(text, at)
        if match:
            found.append(Word(match[0], match.start(), match.end()))
        at = match.end() if match else at + 1
    return found
