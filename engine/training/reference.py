"""A Trainer whose loss holds the model against what it was before: the reference."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from engine.training.foretold import log_likelihood
from engine.training.ordered import OrderedTrainer

if TYPE_CHECKING:
    from engine.training.spec import TrainSpec


class ReferenceTrainer(OrderedTrainer, ABC):
    """The reference is the base: the model with its adapter off, or a frozen copy where every weight learns. A subclass has
    the loss. Held-out predictions are its rewards, and ``good`` of the batch, where it has it, what they are judged by."""

    def __init__(self, *, spec: TrainSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._spec = spec
        # The loss is a mean over rows: the Trainer must divide it by the batches of a step, not by tokens.
        self.model_accepts_loss_kwargs = False
        whole = spec.refers and not hasattr(kwargs["model"], "disable_adapter")
        self._copy = copy.deepcopy(kwargs["model"]).eval().requires_grad_(False) if whole else None

    @abstractmethod
    def loss_of(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """``(loss, rewards)``: a scalar, and float32 of shape (rows, …) with no gradient."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:  # noqa: ARG002
        loss, rewards = self.loss_of(model, inputs)
        return (loss, {"rewards": rewards}) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None) -> Any:  # noqa: ARG002
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, rewards = self.loss_of(model, inputs)
        return loss.detach(), rewards, inputs.get("good", torch.zeros(len(rewards), device=rewards.device))

    def reference(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The reference's log-likelihood of each row, in nats, of shape (rows,)."""
        with torch.no_grad():
            if self._copy is not None:
                return log_likelihood(self._copy, inputs)[0]
            learning = model.training
            model.eval()  # no dropout of the base's own
            try:
                with model.disable_adapter():
                    return log_likelihood(model, inputs)[0]
            finally:
                model.train(learning)
