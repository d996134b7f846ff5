"""Trainers whose row order depends on the seed and the epoch alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import Trainer

from engine.training.order import Grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class InOrder:
    """Put before a Trainer of any library: its rows come as ``order.Grouped`` says.

    ``lengths`` are the tokens of each training row, in the order of the training dataset; ``order`` makes a sampler of
    them, the rows of a step and the seed, where it should be another than ``Grouped``.
    """

    args: Any

    def __init__(self, *, lengths: Sequence[int], order: Callable[[Sequence[int], int, int], Grouped] = Grouped, **kwargs: Any) -> None:
        self._lengths, self._order = list(lengths), order
        super().__init__(**kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Grouped:  # noqa: ARG002 -- the Trainer's signature
        group = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return self._order(self._lengths, group, self.args.data_seed)


class OrderedTrainer(InOrder, Trainer):  # type: ignore[misc]
    """The Trainer of transformers, in order."""
