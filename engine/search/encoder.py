"""Texts to vectors, many at a time, with torch. For a child process: it imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.devices import bf16_pays, set_torch_threads, torch_device
from engine.errors import ModelError
from engine.search import bert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALIKE = 0.9999
"""The least cosine with sentence-transformers' own vectors at which a faster way to them is taken."""
PROBES = (
    "A bird stands very still at the water's edge.",
    "Wo ist die nächste Haltestelle?",
    "为什么天空是蓝色的？",
    "x = [i ** 2 for i in range(10)]  # squares",
)


class Encoder:
    """A sentence-transformers model from a local folder.

    On a CPU without bfloat16 a model of the BERT family runs on :class:`bert.Bert`'s weights in batches that fit the
    cache, if that gives the same vectors; anything else runs as sentence-transformers runs it, bfloat16 where the
    hardware has it: twice as fast, the same vectors to a cosine of .999.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Raises ``ModelError``."""
        from sentence_transformers import SentenceTransformer

        set_torch_threads(threads)
        kwargs = {"dtype": "bfloat16"} if bf16_pays() else {}
        try:
            self._model = SentenceTransformer(str(folder), device=torch_device(), local_files_only=True, model_kwargs=kwargs)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"The encoder in {folder} can't be loaded: {str(error).splitlines()[0]}", "Pull it again: pull minilm") from error
        plain = bert.read(folder)
        self.plain: bert.Bert | None = plain if plain is not None and self._agrees(plain) else None
        """The encoder without torch, where its vectors are the same."""
        self._forward = _Forward(self.plain) if self.plain is not None and torch_device() == "cpu" and not bf16_pays() else None

    def _agrees(self, plain: bert.Bert) -> bool:
        ours, theirs = plain.encode(list(PROBES), "document"), self._slowly(list(PROBES))
        return bool(ours.shape == theirs.shape and (ours * theirs).sum(1).min() > ALIKE)

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def tokenizer(self) -> Any:
        """The ``tokenizers.Tokenizer`` behind the model, or None for a model that has none."""
        return getattr(getattr(self._model, "tokenizer", None), "backend_tokenizer", None)

    @property
    def longest(self) -> int:
        """Tokens that the encoder reads of a text."""
        return int(self._model.get_max_seq_length() or 512)

    def documents(self, texts: list[str], each: Callable[[int], None] | None = None) -> Any:
        """float32 array of shape ``(len(texts), dimension)``, rows of length 1, in the order of ``texts``.

        A text that comes twice is encoded once; ``each`` hears how many are done.
        """
        import numpy as np

        places: dict[str, int] = {}
        where = [places.setdefault(text, len(places)) for text in texts]
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self._forward is not None and self.plain is not None:
            found = bert.gathered(self.plain.tokens(list(places), "document"), self.dimension, self._forward, each)
        else:
            found = self._slowly(list(places), each)
        return found[where]

    def encode(self, texts: list[str], prompt: str) -> Any:
        """The same for a question, with the prompt that the model wants before one: ``prompt`` is query or document."""
        if prompt == "document":
            return self.documents(texts)
        return self._model.encode_query(texts, normalize_embeddings=True, show_progress_bar=False)

    def _slowly(self, texts: list[str], each: Callable[[int], None] | None = None, batch: int = 64) -> Any:
        """In order of length, so that little is padded."""
        import numpy as np

        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            found[part] = self._model.encode_document(
                [texts[number] for number in part], batch_size=batch, normalize_embeddings=True, show_progress_bar=False
            )
            if each:
                each(start + len(part))
        return found


class _Forward:
    """A BERT's forward pass in torch with one matrix product for queries, keys and values, and nothing kept."""

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

    def __call__(self, ids: Any, mask: Any) -> Any:
        import torch
        from torch.nn import functional as F  # noqa: N812

        plain = self._plain
        count, length = ids.shape
        size, dimension = (plain.dimension,), plain.dimension
        with torch.inference_mode():
            states = F.embedding(torch.from_numpy(ids), self._words) + self._positions[:length]
            states = F.layer_norm(states, size, self._norm[0], self._norm[1], plain.epsilon)
            seen = None if mask.all() else torch.from_numpy(mask)[:, None, None, :]
            for layer in self._layers:
                parts = F.linear(states, layer.qkv, layer.qkv_bias).view(count, length, 3, plain.heads, -1).permute(2, 0, 3, 1, 4)
                heard = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen)
                heard = heard.transpose(1, 2).reshape(count, length, dimension)
                states = F.layer_norm(states.add_(F.linear(heard, layer.out, layer.out_bias)), size, layer.norm[0], layer.norm[1], plain.epsilon)
                inner = F.gelu(F.linear(states, layer.up, layer.up_bias))
                states = F.layer_norm(
                    states.add_(F.linear(inner, layer.down, layer.down_bias)), size, layer.last_norm[0], layer.last_norm[1], plain.epsilon
                )
            return plain.pool(states.numpy(), mask)
