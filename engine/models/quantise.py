"""A GGUF in other weights: the same file with its matrices quantised again, for the engine that runs those faster.

What was lost before stays lost: from four bits to eight is exact but for rounding, from one kind of four bits to
another is not (SmolLM2 from Q4_1 to Q4_0: perplexity 13 % up). So nothing made here is used before its perplexity is
measured (``engine.inference.perplexity``).
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.models.gguf_header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kind = Literal["Q8_0", "Q4_0"]
KINDS: tuple[Kind, ...] = ("Q8_0", "Q4_0")
READABLE = frozenset({"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
"""The types whose values are taken apart here; a tensor of another stays as it is."""


def quantise(source: Path, out: Path, kind: Kind, step: Callable[[int, int], object] = max) -> None:
    """Write ``out`` from the GGUF ``source``, whole or not at all; one tensor is in memory at a time.

    Matrices of the layers become ``kind``. Vectors stay. Embeddings and the head suffer most from four bits: they stay
    as they are, or become eight bits where they are floats. ``step(done, total)`` is called before each tensor and may
    raise to stop. Raises ``ModelError``.
    """
    import gguf
    import numpy as np

    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        reader = gguf.GGUFReader(source)
        architecture = reader.fields["general.architecture"].contents()
        writer = gguf.GGUFWriter(temporary, architecture)
        _describe(writer, reader, kind)
        plan = [(tensor, _kind(tensor, kind)) for tensor in reader.tensors]
        for tensor, new in plan:
            shape = tuple(int(size) for size in reversed(tensor.shape))
            if new == tensor.tensor_type:
                writer.add_tensor_info(tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, new)
            else:
                size = gguf.quants.quant_shape_to_byte_shape(shape, new)
                writer.add_tensor_info(tensor.name, size, np.dtype("uint8"), int(np.prod(size)), new)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, (tensor, new) in enumerate(plan):
            step(done, len(plan))
            data = tensor.data
            if new != tensor.tensor_type:
                data = gguf.quants.quantize(gguf.quants.dequantize(data, tensor.tensor_type), new)
            writer.write_tensor_data(data)
        step(len(plan), len(plan))
        writer.close()
        temporary.replace(out)
    except (ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise ModelError(f"{source.name} can't be quantised: {error}.", "It is used as it is; pull its owner's own quantisation instead.") from None
    finally:
        temporary.unlink(missing_ok=True)


def bytes_of(source: Path, kind: Kind) -> int:
    """About how large the file would be."""
    import gguf

    header = read_header(source)
    total = 0
    for name, (dimensions, number) in header.tensors.items():
        new = (
            gguf.GGMLQuantizationType(number)
            if name.startswith(("token_embd", "output.")) or len(dimensions) < 2
            else gguf.GGMLQuantizationType[kind]
        )
        block, size = gguf.GGML_QUANT_SIZES[new]
        total += math.prod(dimensions) * size // block
    return total


def _describe(writer: Any, reader: Any, kind: Kind) -> None:
    """The metadata of ``reader``, with the new type named."""
    from gguf import GGUFValueType, LlamaFileType

    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        first = field.types[0]
        writer.add_key_value(name, field.contents(), first, sub_type=field.types[-1] if first == GGUFValueType.ARRAY else None)
    writer.add_file_type(int(LlamaFileType[f"MOSTLY_{kind}"]))


def _kind(tensor: Any, kind: Kind) -> Any:
    from gguf import GGMLQuantizationType

    now = tensor.tensor_type
    if len(tensor.shape) < 2 or tensor.shape[0] % 32 or now.name not in READABLE:
        return now
    if tensor.name.startswith(("token_embd", "output.")):
        return GGMLQuantizationType.Q8_0 if now.name in ("F32", "F16", "BF16") else now
    return GGMLQuantizationType[kind]
