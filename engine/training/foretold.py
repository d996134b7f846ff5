"""Logits where they are needed: at the positions whose next token carries loss."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad

from engine.training.mask import IGNORED


def chooses(model: Any) -> bool:
    """Whether ``model`` (a ``PeftModel`` too) computes logits at positions of our choice. Virtual tokens before a row move them."""
    if any(config.is_prompt_learning for config in getattr(model, "peft_config", {}).values()):
        return False
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def foretold(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``(following, keep)`` of ``labels``, int64 of shape (rows, length): the label of the token behind each position, and
    where it carries loss; both of that shape."""
    following = pad(labels[:, 1:], (0, 1), value=IGNORED)
    return following, following != IGNORED


def log_likelihood(model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """``(sums, tokens)``, both of shape (rows,): the log-likelihood of what carries loss, in nats, and how many tokens that is."""
    following, keep = foretold(inputs["labels"])
    chosen = {"logits_to_keep": keep} if chooses(model) else {}
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False, **chosen).logits
    if not chosen:
        logits = logits[:, -keep.shape[1] :][keep]  # behind the tokens of a tuned prompt
    losses = cross_entropy(logits.float(), following[keep], reduction="none")
    sums = torch.zeros(len(keep), dtype=losses.dtype, device=losses.device).index_add(0, keep.nonzero()[:, 0], -losses)
    return sums, keep.sum(-1)
