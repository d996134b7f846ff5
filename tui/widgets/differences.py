"""Two texts side by side, with what only one of them has marked."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from textual.content import Content

from tui.text import clean

LONGEST = 4000
"""Characters compared; what is beyond them is shown as it is."""


def told_apart(left: str, right: str, style: str = "bold underline $warning") -> tuple[Content, Content]:
    """Both texts, the words that the other has not marked."""
    left, right = clean(left).strip(), clean(right).strip()
    ours, theirs = _words(left[:LONGEST]), _words(right[:LONGEST])
    found = (Content(left), Content(right))
    matcher = SequenceMatcher(None, [word for word, _, _ in ours], [word for word, _, _ in theirs], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what != "equal":
            found = (_mark(found[0], ours[a:b], style), _mark(found[1], theirs[c:d], style))
    return found


def _words(text: str) -> list[tuple[str, int, int]]:
    return [(match.group(), *match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]


def _mark(content: Content, words: list[tuple[str, int, int]], style: str) -> Content:
    return content.stylize(style, words[0][1], words[-1][2]) if words else content
