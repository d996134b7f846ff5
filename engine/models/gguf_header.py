"""What stands at the head of a GGUF file: its metadata and its list of tensors, read without loading any of them.

The layout is that of ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.shapes import Shape, shape_of

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "Download it again: the file is damaged or not complete."
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1),
    25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""ggml's types by number: name, values in a block, bytes of a block. The gguf package has them too, and with them numpy:
most of a second before the first token."""
MOST = 10_000_000
"""Entries that a list in a header may have; a damaged length is taken for what it is."""


@dataclass(frozen=True, slots=True)
class Header:
    """``metadata`` holds scalars and strings; of an array of strings or numbers only its length is kept, in ``lengths``.
    ``tensors`` are ``name -> (dimensions, type's number)``."""

    metadata: dict[str, Any]
    lengths: dict[str, int]
    tensors: dict[str, tuple[tuple[int, ...], int]]

    @property
    def family(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def get(self, name: str, otherwise: int = 0) -> Any:
        """A figure of the architecture: ``block_count``, ``context_length``, …"""
        return self.metadata.get(f"{self.family}.{name}", otherwise)

    @property
    def template(self) -> str:
        return str(self.metadata.get("tokenizer.chat_template", ""))

    @property
    def quantisation(self) -> str:
        """The type that most of its weights have: ``Q4_0``, ``F16``, …"""
        sizes: dict[int, int] = {}
        for dimensions, kind in self.tensors.values():
            count = 1
            for dimension in dimensions:
                count *= dimension
            sizes[kind] = sizes.get(kind, 0) + count
        most = max(sizes, key=lambda kind: sizes[kind], default=0)
        return TYPES[most][0]

    def shape(self) -> Shape:
        """Its widths, as :mod:`engine.models.shapes` has them. Raises ``ValueError`` when the header does not tell."""
        width, heads, inner = self.get("embedding_length"), self.get("attention.head_count"), self.get("feed_forward_length")
        kinds = {"gemma3": "gemma3_text", "gptneox": "gpt_neox"}
        config = {
            "model_type": kinds.get(self.family, self.family), "hidden_size": width, "n_embd": width, "intermediate_size": inner, "n_inner": inner,
            "num_hidden_layers": self.get("block_count"), "n_layer": self.get("block_count"), "num_attention_heads": heads, "n_head": heads,
            "num_key_value_heads": self.get("attention.head_count_kv", heads), "head_dim": self.get("attention.key_length") or None,
            "max_position_embeddings": self.get("context_length"), "n_positions": self.get("context_length"),
            "vocab_size": self.lengths.get("tokenizer.ggml.tokens") or self.get("vocab_size"), "num_experts": self.get("expert_count"),
            "sliding_window": self.get("attention.sliding_window") or None, "tie_word_embeddings": "output.weight" not in self.tensors,
        }  # fmt: skip
        return shape_of(config)


def read_header(path: Path) -> Header:
    """Raises ``ModelError`` for what is no GGUF file, for a damaged header and for a file that ends too early."""
    try:
        about = path.stat()
        return _read(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.", "Its files were moved or removed: pull it again.") from None


@lru_cache(maxsize=32)
def _read(path: Path, size: int, changed: int) -> Header:  # noqa: ARG001 (a file that changed is read again)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{path} is no GGUF file, whatever its name says.", "Download it again.")
        try:
            return _parse(file, path, size)
        except (struct.error, ValueError, KeyError, OverflowError, UnicodeDecodeError, MemoryError):
            raise ModelError(f"The header of {path} can't be read, near byte {file.tell():,} of {size:,}.", AGAIN) from None


def _parse(file: IO[bytes], path: Path, size: int) -> Header:
    version, tensors, entries = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3):
        raise ModelError(f"{path} is a GGUF of version {version}; versions 2 and 3 can be read.", "Download a newer file of this model.")
    if max(tensors, entries) > MOST:
        raise ValueError("a damaged count")
    metadata: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for _ in range(entries):
        key = _string(file)
        kind = _scalar(file, 4)
        if kind == ARRAY:
            lengths[key] = _skip_array(file)
        else:
            metadata[key] = _string(file) if kind == STRING else _scalar(file, kind)
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    end = 0
    for _ in range(tensors):
        name = _string(file)
        dimensions = tuple(_scalar(file, 10) for _ in range(_scalar(file, 4)))
        kind, offset = _scalar(file, 4), _scalar(file, 10)
        found[name] = (dimensions, kind)
        end = max(end, offset + _bytes(dimensions, kind))
    alignment = int(metadata.get("general.alignment", 32))
    end += -(-file.tell() // alignment) * alignment
    if end > size:
        raise ModelError(f"{path} is cut off: its weights end at byte {end:,}, and it has {size:,}.", AGAIN)
    return Header(metadata, lengths, found)


def _bytes(dimensions: tuple[int, ...], kind: int) -> int:
    _, block, size = TYPES[kind]
    count = 1
    for dimension in dimensions:
        count *= dimension
    return count // block * size


def _scalar(file: IO[bytes], kind: int) -> Any:
    form = "<" + SCALARS[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _string(file: IO[bytes]) -> str:
    length = _scalar(file, 10)
    if length > MOST:
        raise ValueError("a damaged length")
    raw = file.read(length)
    if len(raw) < length:
        raise ValueError("the file ends here")
    return raw.decode("utf-8", "replace")


def _skip_array(file: IO[bytes]) -> int:
    kind, count = _scalar(file, 4), int(_scalar(file, 10))
    if count > MOST:
        raise ValueError("a damaged count")
    if kind == STRING:
        for _ in range(count):
            length = _scalar(file, 10)
            if length > MOST:
                raise ValueError("a damaged length")
            file.seek(length, 1)
    else:
        file.seek(struct.calcsize("<" + SCALARS[kind]) * count, 1)
    return count
