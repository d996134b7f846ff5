"""Weight files made by hand: as small as their formats allow, and whole."""

from __future__ import annotations

import json
import random
import struct


def safetensors_file(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> bytes:
    """A safetensors file of float32 tensors, its bytes random."""
    at, header = 0, {}
    for name, shape in shapes.items():
        size = 4
        for axis in shape:
            size *= axis
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + random.Random(seed).randbytes(at)


def gguf_file(count: int = 64, architecture: str = "llama") -> bytes:
    """A GGUF file with one float32 tensor of ``count`` numbers and a few facts."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    facts = text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    facts += text(f"{architecture}.context_length") + struct.pack("<II", 4, 512)
    facts += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c")
    tensor = text("token_embd.weight") + struct.pack("<IQIQ", 1, count, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + facts + tensor
    return head + bytes(-len(head) % 32) + random.Random(count).randbytes(4 * count)
