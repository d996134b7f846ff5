"""A BERT's forward pass in torch over packed texts: no padding, nothing kept, one product for queries, keys and values."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.search import bert

if TYPE_CHECKING:
    from collections.abc import Callable


class Packed:
    """The weights of a :class:`bert.Bert` as tensors.

    The texts of a batch stand one behind another, tokens by dimension, for everything that looks at one token at a time;
    attention sees the texts of one length together, so it needs no mask either.
    """

    def __init__(self, plain: bert.Bert) -> None:
        import numpy as np
        import torch

        def tensor(values: Any) -> Any:
            # torch.nn.functional.linear wants (out, in).
            return torch.from_numpy(np.array(values.T if values.ndim == 2 else values, order="C"))

        self._plain = plain
        self._words, self._positions = (torch.from_numpy(np.array(values)) for values in (plain.words, plain.positions))
        self._norm: Any = tuple(map(tensor, plain.norm))
        self._layers = [
            bert.Layer(*(tuple(map(tensor, value)) if isinstance(value, tuple) else tensor(value) for value in (getattr(layer, name) for name in layer.__slots__)))
            for layer in plain.layers
        ]  # fmt: skip

    def encode(self, ids: list[list[int]], each: Callable[[int], None] | None = None) -> Any:
        """float32 array of shape ``(len(ids), dimension)``, rows of length 1; ``each`` hears how many are done."""
        import numpy as np
        import torch

        found = np.zeros((len(ids), self._plain.dimension), dtype=np.float32)
        done = 0
        for batch in bert.batches([len(one) for one in ids]):
            with torch.inference_mode():
                found[batch] = self._forward([ids[number] for number in batch]).numpy()
            done += len(batch)
            if each:
                each(done)
        return found

    def _forward(self, texts: list[list[int]]) -> Any:
        """The pooled vectors of texts that are in order of length."""
        import torch
        from torch.nn import functional as F  # noqa: N812

        plain, size = self._plain, (self._plain.dimension,)
        runs = [(length, len(list(same))) for length, same in groupby(map(len, texts))]
        states = F.embedding(torch.tensor([token for text in texts for token in text]), self._words)
        states += torch.cat([self._positions[:length].repeat(count, 1) for length, count in runs])
        states = F.layer_norm(states, size, self._norm[0], self._norm[1], plain.epsilon)
        for layer in self._layers:
            heard = self._attention(F.linear(states, layer.qkv, layer.qkv_bias), runs)
            states = F.layer_norm(states.add_(F.linear(heard, layer.out, layer.out_bias)), size, layer.norm[0], layer.norm[1], plain.epsilon)
            inner = torch.ops.aten.gelu_(F.linear(states, layer.up, layer.up_bias))
            states.add_(F.linear(inner, layer.down, layer.down_bias))
            states = F.layer_norm(states, size, layer.last_norm[0], layer.last_norm[1], plain.epsilon)
        parts = [part.view(count, length, -1) for part, (length, count) in zip(self._split(states, runs), runs, strict=True)]
        return F.normalize(torch.cat([part[:, 0] if plain.first_token else part.mean(1) for part in parts]), dim=1)

    def _attention(self, qkv: Any, runs: list[tuple[int, int]]) -> Any:
        """What each token hears of its own text: (tokens, dimension), of ``qkv`` (tokens, 3 x dimension)."""
        from torch.nn import functional as F  # noqa: N812

        heads, width = self._plain.heads, self._plain.dimension // self._plain.heads
        heard = qkv.new_empty(len(qkv), self._plain.dimension)
        for own, out, (length, count) in zip(self._split(qkv, runs), self._split(heard, runs), runs, strict=True):
            query, key, value = own.view(count, length, 3, heads, width).permute(2, 0, 3, 1, 4)
            out.view(count, length, heads, width).copy_(F.scaled_dot_product_attention(query, key, value).transpose(1, 2))
        return heard

    @staticmethod
    def _split(values: Any, runs: list[tuple[int, int]]) -> Any:
        return values.split([length * count for length, count in runs])
