"""Pictures and sounds in rows: their facts, and as much of them as a screen can show.

What is broken, too large or not readable here comes back as :class:`Unshown`, never as an error of the row.
"""

from __future__ import annotations

import io
import re
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.rows import open_folder, split_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from engine.store.datasets import DatasetRecord

MOST_BYTES = 64_000_000
"""Of one picture or sound; a larger one is not decoded."""
MOST_PIXELS = 64_000_000
MOST_SECONDS = 3600
THUMB = 512
"""Pixels on the longer side of what is handed to the screen."""
BINS = 400
"""Peaks of a waveform handed to the screen."""
SHOWN = 8
"""Media of one row that are decoded."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``length`` is the file's, in bytes; ``pixels`` are ``thumb`` (width, height) RGB triples, row by row; ``size`` is what the file holds."""

    column: str
    name: str
    length: int
    format: str
    size: tuple[int, int]
    thumb: tuple[int, int]
    pixels: bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """``peaks`` are the lowest and the highest sample of equal spans, between -1 and 1."""

    column: str
    name: str
    length: int
    format: str
    seconds: float
    rate: int
    channels: int
    peaks: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Unshown:
    """A picture or sound that can't be shown: why, and the way out where there is one."""

    column: str
    name: str
    length: int
    why: str
    hint: str = ""


Shown = Picture | Sound | Unshown


class _Refused(Exception):
    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.hint = why, hint


def media(record: DatasetRecord, split: str, index: int) -> list[Shown]:
    """The pictures and sounds of a row, by column, decoded as far as a screen needs. Raises ``NotFound``, ``DataError``."""
    batch = open_folder(split_folder(record, split)).batch(index)
    found: list[Shown] = []
    if batch is None:
        return found
    for number, column in enumerate(batch.schema.names):
        if _holds_media(batch.schema.field(number).type):
            for value in _structs(batch.column(number)[0].as_py()):
                if len(found) < SHOWN:
                    found.append(_shown(column, value))
    return found


def first_picture(record: DatasetRecord, split: str, index: int) -> bytes | None:
    """The file of a row's first picture that is there. Raises ``NotFound``, ``DataError``."""
    batch = open_folder(split_folder(record, split)).batch(index)
    if batch is None:
        return None
    for number in range(batch.num_columns):
        if _holds_media(batch.schema.field(number).type):
            for value in _structs(batch.column(number)[0].as_py()):
                with suppress(_Refused):
                    data = value["bytes"] if value["bytes"] is not None else _read(str(value["path"]))
                    if _is_picture(data):
                        return bytes(data)
    return None


def _holds_media(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_media(kind.value_type)
    return pa.types.is_struct(kind) and {kind.field(n).name for n in range(kind.num_fields)} == {"bytes", "path"}


def _structs(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _structs(item)
    elif isinstance(value, dict) and (value["bytes"] is not None or value["path"] is not None):
        yield value


def _shown(column: str, value: dict[str, Any]) -> Shown:
    name = Path(str(value["path"])).name if value["path"] else ""
    size = len(value["bytes"] or b"")
    try:
        data = value["bytes"] if value["bytes"] is not None else _read(str(value["path"]))
        size = len(data)
        if size > MOST_BYTES:
            raise _Refused(f"It is too large to show: {size / 1e6:.0f} MB.")
        return _picture(column, name, data) if _is_picture(data) else _sound(column, name, data)
    except _Refused as refused:
        return Unshown(column, name, size, refused.why, refused.hint)


def _read(path: str) -> bytes:
    """The bytes of a file that a row only names. A device or a pipe is no file, and is not read."""
    try:
        facts = Path(path).stat()
        if not stat.S_ISREG(facts.st_mode):
            raise _Refused("Its path is not a file.")
        if facts.st_size > MOST_BYTES:
            raise _Refused(f"It is too large to show: {facts.st_size / 1e6:.0f} MB.")
        return Path(path).read_bytes()
    except (OSError, ValueError):
        raise _Refused("The file that the row names is not there.", "Add the dataset again from where its files are.") from None


def _is_picture(data: bytes) -> bool:
    head = data[:16]
    known = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"8BPS")
    return head.startswith(known) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] in (b"ftypavif", b"ftypheic")


def _picture(column: str, name: str, data: bytes) -> Picture:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise _Refused(f"It is too large to show: {width:,} x {height:,} pixels.")
                kind = str(image.format or "")
                image.draft("RGB", (THUMB, THUMB))
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((THUMB, THUMB))
                pixels = _on_grey(upright)
    except _Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _Refused("It unfolds to too many pixels to be shown.") from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them trip over
        raise _Refused(f"The picture is damaged: {_short(error)}") from None
    return Picture(column, name, len(data), kind, (width, height), pixels.size, pixels.tobytes())


def _on_grey(image: Any) -> Any:
    """The picture as RGB; what is transparent in it lies on grey."""
    from PIL import Image

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _sound(column: str, name: str, data: bytes) -> Sound:
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            rate, channels, frames = int(sound.samplerate), int(sound.channels), int(sound.frames)
            if rate <= 0 or frames <= 0:
                raise _Refused("There is no sound in it.")
            if frames / rate > MOST_SECONDS:
                raise _Refused(f"It is too long to draw: {frames / rate / 60:.0f} minutes, {rate:,} Hz.")
            peaks = _peaks(block for block in sound.blocks(blocksize=max(1, -(-frames // BINS)), dtype="float32", always_2d=True))
            return Sound(column, name, len(data), str(sound.format), frames / rate, rate, channels, peaks)
    except (RuntimeError, ValueError, OSError, TypeError) as error:
        raise _Refused(f"It is no picture or sound that can be read: {_short(error)}") from None


def _peaks(blocks: Iterator[np.ndarray[Any, Any]]) -> list[tuple[float, float]]:
    return [(max(-1.0, float(block.min())), min(1.0, float(block.max()))) for block in blocks if block.size]


def _short(error: BaseException) -> str:
    """What a library says, without the objects it names."""
    said = re.sub(r"^Error opening <[^>]*>: | ?<[^>]*>", "", str(error).strip()).splitlines()
    return (said[0] if said else type(error).__name__)[:160].rstrip(".") + "."
