"""How a text file is written: by its first bytes, by being UTF-8, or by evidence; what has none is refused with a choice."""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from engine.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext

BLOCK = 1 << 20
MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
COMMON = "Common ones are utf-8, cp1252, latin-1 and utf-16."
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]+")
_BETWEEN = "’–—\u00ad·"
"""Marks that stand between two letters."""
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
CANDIDATES = ["cp1251", "cp1252", "cp1250", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp", "koi8_r", "cp1253", "cp1255", "cp1256"]


def check_encoding(encoding: str) -> None:
    """Raises ``DataError`` for an encoding that does not exist, or is none of text."""
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError):
        raise DataError(f"There is no encoding “{encoding}”.", COMMON) from None


def find(job: JobContext, path: Path, given: str = "") -> str:
    """The encoding as given, or as the bytes show it; UTF-8 with a few broken bytes in it is still UTF-8.

    Raises ``DataError``, with the encodings that would read it, where nothing speaks for one of them.
    """
    if given:
        check_encoding(given)
        return given
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if wide := _wide(head):
        return wide
    at = _first_bad(job, path)
    if at is None:
        return "utf-8"
    sample = _around(path, at)
    whole = len(_UTF8.findall(sample))
    odd = sum(map(len, _HIGH.findall(_UTF8.sub(b"", sample))))
    if whole >= odd:
        return "utf-8"
    if whole <= odd // 20 and _western(sample):
        return "cp1252"
    raise unreadable(path, "utf-8", at, sample)


def unreadable(path: Path, encoding: str, at: int, sample: bytes = b"") -> DataError:
    """The error for a byte at offset ``at`` that is no text in ``encoding``, with the encodings that would read it."""
    line, column, byte, text = place(path, encoding, at)
    hint = "Say how it is written, for example: --encoding cp1252 (older Windows files), latin-1 or utf-16."
    error = DataError(f"{path.name}, line {line}, column {column}: byte 0x{byte:02x} is not {encoding} text.", hint)
    for name in guesses(sample or text):
        shown = preview(text, name, column)
        if shown.isprintable() and "\ufffd" not in shown:
            error.offer(f"read it as {name}: “{shown}”", encoding=name)
    return error


def guesses(sample: bytes) -> list[str]:
    """Up to three encodings that the bytes may be in, the likeliest first."""
    from charset_normalizer import from_bytes

    found = [match.encoding for match in from_bytes(sample[: 1 << 16], cp_isolation=CANDIDATES)]
    for name in sorted(CANDIDATES, key=lambda name: _oddness(sample[: 1 << 16], name)):
        if name not in found and _oddness(sample[: 1 << 16], name) < 1:
            found.append(name)
    return found[:3]


def _oddness(sample: bytes, encoding: str) -> float:
    """How little the bytes look like words in ``encoding``: signs among letters, capitals within words, mixed alphabets."""
    try:
        text = sample.decode(encoding)
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError) or error.end < len(sample) - 4:  # the sample may end within a letter
            return 1.0
        text = sample[: error.start].decode(encoding)
    high = [(before, character) for before, character in pairwise(text) if ord(character) > 127]
    alphabets = {unicodedata.name(character, "?").split()[0] for _, character in high if character.isalpha()}
    odd = sum(not character.isalpha() or (before.islower() and character.isupper()) for before, character in high)
    return min(0.99, odd / max(1, len(high)) + 0.1 * (len(alphabets) - 1))


def preview(text: bytes, encoding: str, column: int) -> str:
    """The piece of a line where the odd byte stands, as ``encoding`` reads it."""
    line = text.decode(encoding, "replace")
    start = max(0, column - 12)
    return line[start : start + 32].strip()


def place(path: Path, encoding: str, at: int) -> tuple[int, int, int, bytes]:
    """Line, column (in characters), the byte itself and its line's bytes, for the offset ``at``."""
    seen, number, line = 0, 1, b""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):  # noqa: B007
            if seen + len(line) > at:
                break
            seen += len(line)
    here = max(0, min(at - seen, len(line) - 1))
    return number, len(line[:here].decode(encoding, "replace")) + 1, line[here] if line else 0, line[:2000]


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: every second byte of plain text is zero."""
    pairs = len(head) // 2
    if pairs < 2:
        return ""
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.6 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * pairs and odd < 0.05 * pairs else ""


def _western(sample: bytes) -> bool:
    """Whether nine of ten runs of high bytes make sense in cp1252: letters within words, in the right case; marks beside."""
    if _UNDEFINED.search(sample):
        return False
    runs = fits = 0
    for match in islice(_HIGH.finditer(sample), 20_000):
        before, after = (sample[at : at + 1].decode("latin-1") for at in (max(0, match.start() - 1), match.end()))
        text = match[0].decode("cp1252")
        runs += 1
        fits += _sensible(before if match.start() else "", text, after)
    return fits >= 0.9 * runs


def _sensible(before: str, text: str, after: str) -> bool:
    if len(text) > 2:
        return False
    if all(character.isalpha() for character in text):
        capital_inside = before.islower() and any(character.isupper() for character in text)
        return (before.isalpha() or after.isalpha()) and not capital_inside
    return not (before.isalpha() and after.isalpha()) or text in _BETWEEN


def _first_bad(job: JobContext, path: Path) -> int | None:
    """Where the first byte stands that is not UTF-8; ``None`` when all of them are."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            job.check()
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return done - held + error.start
            done += len(block)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return done - len(decoder.getstate()[0]) if error.start == 0 else done - 1
    return None


def _around(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, at - BLOCK))
        sample = file.read(4 * BLOCK)
    return sample.partition(b"\n")[2] if at > BLOCK else sample  # from the start of a line, not from within a letter
