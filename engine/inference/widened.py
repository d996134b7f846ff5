"""bfloat16 weights on a CPU that computes in float32: half the memory to read for each token, and prompts at full speed."""

from __future__ import annotations

from typing import Any

ROWS = 6
"""Rows from which on widening a matrix costs less than torch's own product in bfloat16 (AVX2, 576 × 1536: even at 4)."""


def widen(model: Any) -> None:
    """Let the linear modules of a bfloat16 model read a prompt in float32, one matrix at a time.

    A token that is decoded is one row, and one row is as fast as its matrix is read: bfloat16 halves that. A prompt is
    many rows, and a CPU without bfloat16 arithmetic multiplies those 4 to 6 times slower than in float32. The products
    are summed in float32 and rounded to bfloat16, as everywhere in the model.
    """
    import torch

    class Widened(torch.nn.Linear):  # type: ignore[misc]
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
            if input.numel() < ROWS * self.in_features or input.dtype != self.weight.dtype:
                return super().forward(input)
            bias = None if self.bias is None else self.bias.float()
            return torch.nn.functional.linear(input.float(), self.weight.float(), bias).to(input.dtype)

    for module in model.modules():
        # PEFT and the KV cache see the module that was there before.
        if type(module) is torch.nn.Linear and module.weight.dtype is torch.bfloat16:
            module.__class__ = Widened
