"""Pictures and sounds, made as an import keeps them: their bytes beside the name of the file."""

from __future__ import annotations

import io
import math
import struct
import wave
from typing import TYPE_CHECKING, Any

from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.engine import Engine


def put_media(engine: Engine, name: str, column: str, files: Sequence[dict[str, Any] | None]) -> DatasetRecord:
    """A dataset with a column of ``{bytes, path}`` and one of numbers."""
    import pyarrow as pa
    from datasets import Dataset

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    folder = engine.workspace.paths.datasets / name / "f1"
    data = Dataset(pa.table({column: pa.array(files, kind), "n": list(range(len(files)))}))
    data.save_to_disk(str(folder / "train"))
    record = DatasetRecord(name, "made", str(folder), "f1", {"train": len(files)}, {column: "image", "n": "int64"}, "table", {}, 1)
    engine.workspace.datasets.put(record)
    return record


def wav(seconds: float = 0.5, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    """A tone that grows louder."""
    out = io.BytesIO()
    total = int(seconds * rate)
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        for number in range(total):
            value = math.sin(number / 5) * number / total
            sample = struct.pack("<h", int(value * 32767)) if width == 2 else bytes([int(value * 127) + 128])
            file.writeframesraw(sample * channels)
    return out.getvalue()


def png(width: int = 8, height: int = 4, colour: tuple[int, ...] = (255, 0, 0), mode: str = "RGB") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new(mode, (width, height), colour).save(out, "PNG")
    return out.getvalue()
