"""What the headers of safetensors files say, and whether the files are whole. No weight is read, nothing heavy loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "Bring it again: pull goes on where a download was cut."
HEADER_MOST = 100_000_000
"""Bytes of a header; the safetensors library takes no longer one."""


def safetensors(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors of a safetensors file: ``{name: {dtype, shape, data_offsets}}``.

    Raises ``ModelError`` for a file that is damaged or shorter than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length < 2 or length > HEADER_MOST:
            raise ModelError(f"{path} is no safetensors file: its header is damaged.", AGAIN)
        if 8 + length > size:
            raise ModelError(f"{path} is cut off inside its header: it has {size:,} bytes.", AGAIN)
        try:
            header = json.loads(file.read(length))
            tensors = {name: value for name, value in header.items() if name != "__metadata__"}
            end = max((int(value["data_offsets"][1]) for value in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise ModelError(f"{path} is no safetensors file: its header is damaged.", AGAIN) from None
    if 8 + length + end > size:
        raise ModelError(f"{path} is cut off: it has {size:,} of {8 + length + end:,} bytes.", AGAIN)
    return tensors


def folder_tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors in a folder's safetensors files, each looked at. Raises ``ModelError``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        shapes |= {name: tuple(value.get("shape", ())) for name, value in safetensors(file).items()}
    return shapes
