"""A sentence encoder of the BERT family, read from a sentence-transformers folder, with tokenizers and numpy alone.

One question costs 0.1 s from a cold start this way, where importing sentence-transformers costs 8 s of CPU. What is
not of this family is left to sentence-transformers: :func:`read` says None.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAMILY = {"bert": 0, "roberta": 1, "xlm-roberta": 1, "camembert": 1}
"""The kinds of model, and whether their positions count from the padding token's number."""
BUDGET = 1024
"""Tokens in a batch: more do not fit into a core's cache (measured, see ``tests/bench/embedding.py``)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights, as matrices that multiply from the right: (in, out)."""

    qkv: Any
    qkv_bias: Any
    out: Any
    out_bias: Any
    norm: tuple[Any, Any]
    up: Any
    up_bias: Any
    down: Any
    down_bias: Any
    last_norm: tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Bert:
    """Weights (numpy, mapped from the file), tokenizer, and how to pool."""

    tokenizer: Any
    longest: int
    words: Any
    positions: Any
    norm: tuple[Any, Any]
    layers: list[Layer]
    heads: int
    epsilon: float
    first_token: bool
    """Pool by the first token's vector rather than by the mean."""
    prompts: dict[str, str]

    @property
    def dimension(self) -> int:
        return int(self.words.shape[1])

    def tokens(self, texts: list[str], prompt: str = "") -> list[list[int]]:
        """Token numbers, cut at what the encoder reads."""
        return [found.ids for found in self.tokenizer.encode_batch_fast([self.prompts.get(prompt, "") + text.strip() for text in texts])]

    def encode(self, texts: list[str], prompt: str = "") -> Any:
        """float32 array of shape ``(len(texts), dimension)``, rows of length 1. ``prompt``: query or document."""
        import numpy as np

        ids = self.tokens(texts, prompt)
        found = np.zeros((len(ids), self.dimension), dtype=np.float32)
        for batch in batches([len(one) for one in ids]):
            longest = max(len(ids[number]) for number in batch)
            padded, mask = np.zeros((len(batch), longest), dtype=np.int64), np.zeros((len(batch), longest), dtype=bool)
            for place, number in enumerate(batch):
                padded[place, : len(ids[number])], mask[place, : len(ids[number])] = ids[number], True
            found[batch] = self.forward(padded, mask)
        return found

    def forward(self, ids: Any, mask: Any) -> Any:
        """The pooled vectors of a padded batch."""
        import numpy as np

        count, length = ids.shape
        width = self.dimension // self.heads
        states = _norm(self.words[ids] + self.positions[:length], self.norm, self.epsilon).reshape(-1, self.dimension)
        bias = np.where(mask, 0.0, -1e9).astype(np.float32)[:, None, None, :]
        for layer in self.layers:
            parts = (states @ layer.qkv + layer.qkv_bias).reshape(count, length, 3, self.heads, width).transpose(2, 0, 3, 1, 4)
            scores = parts[0] @ parts[1].swapaxes(-1, -2) * np.float32(width**-0.5) + bias
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            seen = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(-1, self.dimension)
            states = _norm(states + seen @ layer.out + layer.out_bias, layer.norm, self.epsilon)
            states = _norm(states + _gelu(states @ layer.up + layer.up_bias) @ layer.down + layer.down_bias, layer.last_norm, self.epsilon)
        return self.pool(states.reshape(count, length, -1), mask)

    def pool(self, states: Any, mask: Any) -> Any:
        import numpy as np

        found = states[:, 0] if self.first_token else (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def batches(lengths: list[int], budget: int = BUDGET) -> Iterator[list[int]]:
    """The texts' numbers, shortest first, in batches of at most ``budget`` tokens, padding included."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        if batch and (len(batch) + 1) * lengths[number] > budget:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def read(folder: Path) -> Bert | None:
    """The encoder in a sentence-transformers folder; None where it is of another kind or not whole."""
    try:
        return _read(folder)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _read(folder: Path) -> Bert | None:
    from tokenizers import Tokenizer

    config, pooling = _json(folder / "config.json"), _pooling(folder)
    if config["model_type"] not in FAMILY or pooling is None or config.get("hidden_act") != "gelu":
        return None
    if config.get("position_embedding_type", "absolute") != "absolute" or not (folder / "model.safetensors").is_file():
        return None
    given = _json(folder / "sentence_bert_config.json") if (folder / "sentence_bert_config.json").is_file() else {}
    if given.get("do_lower_case"):
        return None
    shift = (config["pad_token_id"] + 1) * FAMILY[config["model_type"]]
    room = config["max_position_embeddings"] - shift
    # sentence-transformers 6 keeps the length with the tokenizer; where none is set that is a number beyond all lengths.
    told = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    longest = int(min(given.get("max_seq_length") or told.get("model_max_length") or room, room))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    weights = _weights(folder / "model.safetensors")
    words = weights["embeddings.word_embeddings.weight"]
    if len(words) < tokenizer.get_vocab_size():
        return None
    kinds = weights["embeddings.token_type_embeddings.weight"][0]
    layers = [_layer(weights, f"encoder.layer.{number}.") for number in range(config["num_hidden_layers"])]
    prompts = (
        _json(folder / "config_sentence_transformers.json").get("prompts", {}) if (folder / "config_sentence_transformers.json").is_file() else {}
    )
    return Bert(
        tokenizer, longest, words, weights["embeddings.position_embeddings.weight"][shift:] + kinds, _pair(weights, "embeddings.LayerNorm"),
        layers, config["num_attention_heads"], config["layer_norm_eps"], pooling == "cls", prompts or {},
    )  # fmt: skip


def _pooling(folder: Path) -> str | None:
    """``mean`` or ``cls``; None for modules that this file does not speak for."""
    modules = _json(folder / "modules.json")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or modules[0]["path"]:
        return None
    found = _json(folder / modules[1]["path"] / "config.json")
    modes = {name.removeprefix("pooling_mode_") for name, on in found.items() if name.startswith("pooling_mode_") and on is True}
    if isinstance(mode := found.get("pooling_mode"), str):
        modes = {mode}
    if found.get("include_prompt", True) is False:
        return None
    return {"mean_tokens": "mean", "cls_token": "cls", "mean": "mean", "cls": "cls"}.get(next(iter(modes))) if len(modes) == 1 else None


def _layer(weights: dict[str, Any], prefix: str) -> Layer:
    import numpy as np

    parts = [f"{prefix}attention.self.{name}." for name in ("query", "key", "value")]
    return Layer(
        np.concatenate([weights[f"{part}weight"] for part in parts]).T, np.concatenate([weights[f"{part}bias"] for part in parts]),
        weights[f"{prefix}attention.output.dense.weight"].T, weights[f"{prefix}attention.output.dense.bias"],
        _pair(weights, f"{prefix}attention.output.LayerNorm"),
        weights[f"{prefix}intermediate.dense.weight"].T, weights[f"{prefix}intermediate.dense.bias"],
        weights[f"{prefix}output.dense.weight"].T, weights[f"{prefix}output.dense.bias"], _pair(weights, f"{prefix}output.LayerNorm"),
    )  # fmt: skip


def _pair(weights: dict[str, Any], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _weights(file: Path) -> dict[str, Any]:
    """The tensors of a safetensors file as float32, mapped where they are that already; names without the model's own prefix."""
    import numpy as np

    with file.open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    size = int.from_bytes(data[:8], "little")
    found = {}
    for name, tensor in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__" or tensor["dtype"] not in ("F32", "F16", "BF16"):
            continue
        kind = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[tensor["dtype"]]
        first, last = tensor["data_offsets"]
        values = np.frombuffer(data, kind, (last - first) // np.dtype(kind).itemsize, 8 + size + first).reshape(tensor["shape"])
        if tensor["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        found[name[max(name.find("embeddings."), name.find("encoder.layer."), 0) :]] = values.astype(np.float32, copy=False)
    return found


def _json(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def _norm(states: Any, weights: tuple[Any, Any], epsilon: float) -> Any:
    import numpy as np

    centred = states - states.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(epsilon)) * weights[0] + weights[1]


def _gelu(values: Any) -> Any:
    """``x Φ(x)``, the error function by Abramowitz and Stegun 7.1.26 (1.5e-7 at most)."""
    import numpy as np

    size = np.abs(values) * np.float32(0.7071067811865476)
    near = 1 / (1 + np.float32(0.3275911) * size)
    tail = near * (0.254829592 + near * (-0.284496736 + near * (1.421413741 + near * (-1.453152027 + near * np.float32(1.061405429)))))
    below = np.float32(0.5) * tail * np.exp(-size * size)
    return values * np.where(values >= 0, 1 - below, below)
