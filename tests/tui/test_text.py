"""What comes from data and models reaches the terminal harmless."""

from __future__ import annotations

import pytest

from tui.text import clean, one_line


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "ab"),
        ("a\x00\x08\x7fb", "ab"),
        ("abc\u202edef\u2066", "abcdef"),
        ("half \ud800 pair", "half  pair"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("unfinished \x1b]0;no end", "unfinished 0;no end"),
        ("a lone \x90 in the middle", "a lone  in the middle"),
        ("one\u2028two\u2029three", "one\ntwo\nthree"),
        ("soft\xadhyphen \u061cmark", "softhyphen mark"),
    ],
)
def test_clean(text: str, safe: str) -> None:
    assert clean(text) == safe


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\tc   d", 40) == "a b c d"
    assert one_line("abcdefgh", 4) == "abc…"
