"""Pictures and sounds of a row: facts, pixels and peaks, and a plain word for what can't be shown."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.looking import shown as reader
from engine.data.looking.shown import Picture, Sound, Unshown
from engine.errors import NotFound
from tests.fakes.pictures import png, put_media, wav

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


def shown(engine: Engine, *files: dict[str, Any] | None) -> list[Any]:
    """What a screen gets of each file, one a row."""
    put_media(engine, "m", "file", files)
    return [(engine.media("m", "train", row) or [None])[0] for row in range(len(files))]


def huge_png(side: int) -> bytes:
    """A picture of few bytes that claims ``side`` times ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_picture_has_its_facts_and_pixels(engine: Engine) -> None:
    small, wide, clear = shown(
        engine,
        {"bytes": png(8, 4), "path": "a/cat.png"},
        {"bytes": png(2000, 500, (0, 0, 255)), "path": None},
        {"bytes": png(2, 2, (0, 0, 0, 0), "RGBA"), "path": "clear.png"},
    )
    assert (small.name, small.format, small.size, small.thumb) == ("cat.png", "PNG", (8, 4), (8, 4))
    assert small.pixels == b"\xff\0\0" * 32
    assert (wide.name, wide.size, wide.thumb) == ("", (2000, 500), (512, 128))
    assert clear.pixels == b"\x80\x80\x80" * 4, "what is transparent lies on grey"


def test_a_sound_has_its_facts_and_form(engine: Engine) -> None:
    (sound,) = shown(engine, {"bytes": wav(0.5, 8000, 2), "path": "tone.wav"})
    assert isinstance(sound, Sound)
    assert (sound.seconds, sound.rate, sound.channels, sound.format) == (0.5, 8000, 2, "WAV")
    assert 300 < len(sound.peaks) <= reader.BINS
    assert sound.peaks[-1][1] > sound.peaks[10][1] * 5, "it grows louder"
    assert all(-1 <= low <= high <= 1 for low, high in sound.peaks)


def test_what_is_broken_is_told_and_nothing_else_suffers(engine: Engine) -> None:
    cut, odd, empty, nothing = shown(
        engine,
        {"bytes": png(300, 300)[:60], "path": "cut.png"},
        {"bytes": b"neither", "path": "x.bin"},
        {"bytes": b"", "path": "empty.wav"},
        None,
    )
    assert isinstance(cut, Unshown) and "damaged" in cut.why
    assert isinstance(odd, Unshown) and "no picture or sound" in odd.why
    assert isinstance(empty, Unshown)
    assert nothing is None
    assert "object at" not in cut.why + odd.why + empty.why


def test_a_bomb_is_refused_before_it_is_unfolded(engine: Engine) -> None:
    large, bomb = shown(engine, {"bytes": huge_png(9000), "path": "large.png"}, {"bytes": huge_png(60_000), "path": "bomb.png"})
    assert isinstance(large, Unshown) and "pixels" in large.why
    assert isinstance(bomb, Unshown) and "pixels" in bomb.why


def test_a_path_is_read_only_where_it_is_a_file(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav())
    os.mkfifo(tmp_path / "pipe")
    found, gone, pipe, device = shown(
        engine,
        {"bytes": None, "path": str(tmp_path / "a.wav")},
        {"bytes": None, "path": str(tmp_path / "gone.wav")},
        {"bytes": None, "path": str(tmp_path / "pipe")},
        {"bytes": None, "path": "/dev/zero"},
    )
    assert isinstance(found, Sound)
    assert "not there" in gone.why
    assert "not a file" in pipe.why and "not a file" in device.why


def test_rows_without_media_and_rows_that_are_not_there(engine: Engine) -> None:
    put_media(engine, "m", "file", [None])
    assert engine.media("m", "train", 0) == []
    assert engine.media("m", "train", 5) == []
    with pytest.raises(NotFound):
        engine.media("m", "tset", 0)


def test_the_public_pictures_and_sounds(engine: Engine, data: Path) -> None:
    pictures = sorted((data / "img-signdigits" / "test").glob("*.JPG"))[:3]
    sounds = sorted((data / "aud-fsdd" / "test").glob("*.wav"))[:3]
    found = shown(engine, *({"bytes": file.read_bytes(), "path": str(file)} for file in (*pictures, *sounds)))
    assert [type(item) for item in found] == [Picture] * 3 + [Sound] * 3
    assert all(item.size == (100, 100) for item in found[:3])
    assert all(item.rate == 8000 and 0 < item.seconds < 3 for item in found[3:])


def test_common_values(engine: Engine) -> None:
    from tests.fakes.tables import put

    put(engine, "t", {"train": {"label": ["b", "a", "b", None]}, "test": {"label": ["c", "b", "a", "a"]}})
    assert engine.common_values("t", "label", 2) == ["a", "b"]
    with pytest.raises(NotFound, match="labl"):
        engine.common_values("t", "labl", 2)
