"""The order of rows: shuffled, near-equal lengths together, and the same for one seed and epoch, whatever came before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Sampler

from engine.training.texts import by_label

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

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
        for group in self.groups():
            yield from group

    def groups(self) -> list[list[int]]:
        """The rows of each step of this epoch."""
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
        return [*groups, rest] if rest else groups


class Apart(Grouped):
    """:class:`Grouped`, but no two rows of a step share one of their ``keys``: rows that are each other's negatives must
    not hold the same text. A row that finds no room waits for the next step; what is left at the end comes last."""

    def __init__(self, lengths: Sequence[int], group: int, seed: int, *, keys: Sequence[Sequence[Hashable]]) -> None:
        super().__init__(lengths, group, seed)
        self._keys = keys

    def groups(self) -> list[list[int]]:
        queue = deque(row for group in super().groups() for row in group)
        waiting: deque[int] = deque()
        found: list[list[int]] = []
        while queue or waiting:
            taken: list[int] = []
            seen: set[Hashable] = set()
            again: deque[int] = deque()
            while (waiting or queue) and len(taken) < self._group:
                row = waiting.popleft() if waiting else queue.popleft()
                if seen.isdisjoint(self._keys[row]):
                    taken.append(row)
                    seen.update(self._keys[row])
                else:
                    again.append(row)
            waiting.extendleft(reversed(again))
            if len(taken) < self._group:
                # Nothing is left that could part them: they stand together after all.
                taken += waiting
                waiting.clear()
            found.append(taken)
        return found


class Labelled(Grouped):
    """Shuffled so that two rows of one label stand together: without, a step with many labels has nothing to bring near.
    The step of the longest row comes first."""

    def __init__(self, lengths: Sequence[int], group: int, seed: int, *, labels: Sequence[int]) -> None:
        super().__init__(lengths, group, seed)
        self._labels = labels

    def groups(self) -> list[list[int]]:
        rows = by_label(self._labels, self._seed * 1_000_003 + self._epoch)
        groups = [rows[at : at + self._group] for at in range(0, len(rows), self._group)]
        full = [at for at, group in enumerate(groups) if len(group) == self._group]
        if full:
            groups.insert(0, groups.pop(max(full, key=lambda at: max(self._lengths[row] for row in groups[at]))))
        return groups
