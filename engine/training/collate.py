"""Rows of tokens become a batch of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from engine.training.foretold import foretold
from engine.training.mask import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence


def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Numbers of rows as int64 of shape (rows, longest), with ``value`` behind the shorter ones."""
    found = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for at, row in enumerate(rows):
        found[at, : len(row)] = torch.tensor(row)
    return found


class Pad:
    """Pads on the right. ``labels`` that are lists of token numbers are padded with ``IGNORED``; single labels, numbers
    and lists of numbers (as many in each row) are stacked.

    A batch has ``input_ids`` and ``attention_mask`` of shape (rows, longest), int64, ``token_type_ids`` where the rows have
    them, and ``labels`` of shape (rows, longest) or (rows,), int64; of numbers (rows,) or (rows, labels), float32.
    """

    def __init__(self, pad_token_id: int) -> None:
        self._pad = pad_token_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = padded([row["input_ids"] for row in rows], self._pad)
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        batch = {"input_ids": ids, "attention_mask": mask, "labels": self._labels(rows)}
        if "token_type_ids" in rows[0]:
            batch["token_type_ids"] = padded([row["token_type_ids"] for row in rows], 0)
        return batch

    def _labels(self, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
        first = rows[0]["labels"]
        if isinstance(first, float) or (isinstance(first, list) and first and isinstance(first[0], float)):
            return torch.tensor([row["labels"] for row in rows], dtype=torch.float32)
        if isinstance(first, int):
            return torch.tensor([row["labels"] for row in rows], dtype=torch.long)
        return padded([row["labels"] for row in rows], IGNORED)


class PadAnswers(Pad):
    """:class:`Pad` for a model that writes and can choose where it computes logits (``foretold.chooses``): over a vocabulary
    of fifty thousand those of prompts and padding cost as much as a third of the layers.

    A batch has besides ``logits_to_keep``, bool of shape (rows, longest), true where the next token carries loss, and
    ``shift_labels``, int64 of shape (kept,), those next tokens: the Trainer counts them and the model's own loss takes them.
    """

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = super().__call__(rows)
        following, keep = foretold(batch["labels"])
        return {**batch, "logits_to_keep": keep, "shift_labels": following[keep]}


class PadBoth:
    """Of an encoder-decoder: what is read and what is written are padded each to its own length, on the right.

    A batch has ``input_ids`` and ``attention_mask`` of shape (rows, longest read), int64, and ``labels`` of shape (rows,
    longest written), padded with ``IGNORED``.
    """

    def __init__(self, pad_token_id: int) -> None:
        self._pad = Pad(pad_token_id)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        read = self._pad([{"input_ids": row["input_ids"], "labels": []} for row in rows])
        return {**read, "labels": padded([row["labels"] for row in rows], IGNORED)}
