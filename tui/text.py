"""Text from data, models, files and errors, made safe for a terminal."""

from __future__ import annotations

import re

# Control characters (C0 but tab and newline, DEL, C1), bidirectional overrides, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Whole escape sequences first, so that none leaves its tail behind: CSI, OSC and other strings that are closed,
# two-byte ones. Of a string that is never closed the opening alone goes: what follows is only text then.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x1b\x07\x9c]*(?:\x07|\x1b\\\\|\x9c)|\x1b[\\]PX^_]|\x1b[ -/]*[0-~]?"
)


def clean(text: object) -> str:
    """``text`` with no escape sequence, control character or direction override; tabs and newlines stay."""
    return _UNSAFE.sub("", _ESCAPES.sub("", str(text).replace("\r\n", "\n")))


def one_line(text: object, width: int) -> str:
    """:func:`clean` text on one line of at most ``width`` characters, cut with an ellipsis."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"
