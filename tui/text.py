"""Text from data, models, files and errors, made safe for a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Control characters (C0 but tab and newline, DEL, C1), bidirectional overrides, and lone surrogates; also the soft
# hyphen, which terminals do not agree on the width of.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_BREAKS = re.compile("\r\n|\u2028|\u2029")
# Whole escape sequences first, so that none leaves its tail behind: CSI, OSC and other strings that are closed,
# two-byte ones. Of a string that is never closed the opening alone goes: what follows is only text then.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x1b\x07\x9c]*(?:\x07|\x1b\\\\|\x9c)|\x1b[\\]PX^_]|\x1b[ -/]*[0-~]?"
)


def clean(text: object) -> str:
    """``text`` with no escape sequence, control character or direction override; tabs and newlines stay."""
    return _UNSAFE.sub("", _ESCAPES.sub("", _BREAKS.sub("\n", str(text))))


def one_line(text: object, width: int) -> str:
    """:func:`clean` text on one line of at most ``width`` cells, cut with an ellipsis."""
    raw, most = str(text), width * 16 + 1000
    # A line needs no more than ``most`` of a long value, whatever is taken out of it.
    flat = " ".join(clean(raw[:most]).split())
    return cut(flat if len(raw) <= most else f"{flat} …".strip(), width)


def marked_line(text: str, spans: Iterable[Sequence[int]], width: int, start: int = 0, end: int | None = None) -> list[tuple[str, bool]]:
    """``text[start:end]`` as :func:`one_line` shows it, in pieces, each with whether it stands in one of ``spans`` (where
    they begin and end in ``text``, in order). Dots say that there is more on either side."""
    end = len(text) if end is None else end
    found = [("… ", False)] if text[:start].strip() else []
    at = start
    for first, last in [*spans, (end, end)]:
        if at <= first <= last <= end:
            found += [(text[at:first], False), (text[first:last], True)]
            at = last
    found.append((" …" if text[end:].strip() else "", False))
    pieces: list[tuple[str, bool]] = []
    room = width
    for piece, marked in found:
        flat = _SPACE.sub(" ", clean(piece[: width * 16 + 1000]))
        if not pieces or pieces[-1][0].endswith(" "):
            flat = flat.lstrip(" ")
        if flat:
            pieces.append((cut(flat, room), marked))
            room -= cells(flat)
        if room < 0:
            break
    return pieces


def pad(line: str, width: int) -> str:
    """A line filled with spaces to ``width`` cells."""
    return line + " " * (width - cells(line))


def cells(text: str) -> int:
    """How many cells of a terminal a line of text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(line: str, width: int) -> str:
    """A line of at most ``width`` cells, the last an ellipsis where something was left out."""
    if cells(line) <= width:
        return line
    if line.isascii():
        return line[: max(0, width - 1)] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(line, max(0, width - 1)).rstrip() + "…"
