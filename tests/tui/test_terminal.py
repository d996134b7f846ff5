"""The terminal is asked what it draws only where it may answer."""

from __future__ import annotations

import sys

import pytest

from tui.terminal import ask_what_it_draws


def test_a_plain_terminal_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TERM_PROGRAM", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "LC_TERMINAL", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "textual_image.widget", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    ask_what_it_draws()
    assert "textual_image.widget" not in sys.modules


def test_one_that_draws_is_asked_and_its_widget_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("textual_image")
    from engine.data.looking.shown import Picture
    from tui.widgets.media import HalfCells, drawn

    picture = Picture("image", "a.png", 3, "PNG", (1, 1), (1, 1), b"\xff\0\0")
    monkeypatch.delitem(sys.modules, "textual_image.widget", raising=False)
    assert isinstance(drawn(picture), HalfCells)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TMUX", raising=False)
    ask_what_it_draws()
    assert type(drawn(picture)).__module__.startswith("textual_image")
    monkeypatch.delitem(sys.modules, "textual_image.widget")
