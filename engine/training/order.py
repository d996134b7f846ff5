"""The order of rows: shuffled, near-equal lengths together, and the same for one seed and epoch, whatever came before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POOL = 32
"""Batches that are sorted together: enough to waste little on padding, few enough to keep the order random."""


class Grouped(Sampler[int]):  # type: ignore[misc]
    """Row numbers, so that each run of ``group`` of them (the rows of one step) have near-equal lengths.

    The order depends on the seed and the epoch alone, not on the state of any global generator: that is what makes
    a resumed training see the same batches. The group of the longest row comes first, so that a batch that does not
    fit in memory fails in the first step and not after an hour.
    """

    def __init__(self, lengths: Sequence[int], group: int, seed: int) -> None:
        self._lengths = list(lengths)
        self._group = group
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of each epoch, and after a resume."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        shuffled = torch.randperm(len(self._lengths), generator=random).tolist()
        pool = self._group * POOL
        groups: list[list[int]] = []
        for start in range(0, len(shuffled), pool):
            by_length = sorted(shuffled[start : start + pool], key=lambda row: -self._lengths[row])
            groups += [by_length[at : at + self._group] for at in range(0, len(by_length), self._group)]
        # Only the last pool can leave a group that is not full; it stays last, or it would shift all that follow.
        rest = groups.pop() if groups and len(groups[-1]) < self._group else []
        groups = [groups[at] for at in torch.randperm(len(groups), generator=random).tolist()]
        if groups:
            longest = max(range(len(groups)), key=lambda at: self._lengths[groups[at][0]])
            groups.insert(0, groups.pop(longest))
        for group in [*groups, rest]:
            yield from group
