"""Safetensors files read with numpy alone: the screen's own process may look into them without torch.

The format is eight bytes of length, a JSON header, and the numbers (github.com/huggingface/safetensors, “Format”).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

LONGEST = 100_000_000
"""Bytes a header may have: the limit of the format's own reader."""
AGAIN = "Bring the model again: the file is damaged."


def header(path: Path) -> dict[str, dict[str, Any]]:
    """``{tensor: {"dtype", "shape", "data_offsets"}}`` of a safetensors file.

    Raises ``ModelError`` for a file that is missing, is none, or is shorter than its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, LONGEST):
                raise ModelError(f"{path} is no safetensors file, or is cut off in its header ({size:,} bytes).", AGAIN)
            found: dict[str, Any] = json.loads(file.read(length))
        found.pop("__metadata__", None)
        end = 8 + length + max((int(tensor["data_offsets"][1]) for tensor in found.values()), default=0)
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.", "Bring the model again.") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ModelError(f"The header of {path} can't be read: this is no safetensors file, or a damaged one.", AGAIN) from None
    if end != size:
        what = f"is cut off: its tensors end at byte {end:,}, and it has {size:,}" if end > size else f"has {size - end:,} bytes too many"
        raise ModelError(f"{path} {what}.", AGAIN)
    return found


def check_folder(folder: Path) -> None:
    """Look at the headers of every safetensors file in ``folder``, and that the shards which its index names are there.

    Raises ``ModelError``.
    """
    for file in sorted(folder.glob("*.safetensors")):
        header(file)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            raise ModelError(f"{index} can't be read.", AGAIN) from None
        missing = sorted(name for name in named if not (folder / str(name)).is_file())
        if missing:
            raise ModelError(f"{folder} lacks {len(missing)} of its {len(named)} weight files, such as {missing[0]}.", "Pull the model again.")


class Tensors:
    """The tensors of one file or of all files in a folder, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Raises ``ModelError``."""
        files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
        self._at = {name: (file, about) for file in files for name, about in header(file).items()}

    def names(self) -> list[str]:
        return list(self._at)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._at[name][1]["shape"])

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor as float32. Raises ``ModelError`` for a dtype that is no float of 16, 32 or 64 bits."""
        import numpy as np

        file, about = self._at[name]
        kinds = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}
        if about["dtype"] not in kinds:
            raise ModelError(f"{name} in {file} has the dtype {about['dtype']}.", "Only weights of 16, 32 or 64 bits can be read here.")
        first, last = about["data_offsets"]
        with file.open("rb") as handle:
            start = 8 + int.from_bytes(handle.read(8), "little") + first
            handle.seek(start)
            raw = np.frombuffer(handle.read(last - first), kinds[about["dtype"]])
        if about["dtype"] == "BF16":
            # A bfloat16 is the upper half of a float32.
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.astype(np.float32, copy=False).reshape(about["shape"])
