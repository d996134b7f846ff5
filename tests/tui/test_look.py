"""What the table's state says, conversations in their spellings, and waves: no screen."""

from __future__ import annotations

import math

from tui.state.look import Look, turns
from tui.state.wave import wave
from tui.text import cells, cut, one_line, pad

LOOK = Look("tickets", "train")


def test_a_column_orders_up_then_down_then_not_at_all() -> None:
    up = LOOK.ordered_by("amount")
    down = up.ordered_by("amount")
    assert (up.sort, down.sort, down.ordered_by("amount").sort) == ((("amount", False),), (("amount", True),), ())
    assert down.ordered_by("label").sort == (("label", False),)


def test_the_state_is_told_and_a_long_filter_gives_way() -> None:
    assert LOOK.told(10, 10, 80) == ""
    look = Look("tickets", "train", "label = 'x'", (("amount", True),), frozenset({"id"}))
    assert look.told(812, 10_003, 80) == "label = 'x' · 812 of 10,003 · by amount ↓ · 1 hidden"
    long = Look("tickets", "train", "text LIKE '%a%' AND " * 20).told(1, 10_003, 60)
    assert len(long) <= 60
    assert long.endswith("… · 1 of 10,003")


def test_a_new_version_keeps_what_still_has_a_meaning() -> None:
    look = Look("tickets", "test", "a > 1", (("a", False), ("gone", True)), frozenset({"gone", "b"}))
    now = look.fitted({"train": 5}, {"a": "int64", "b": "string"})
    assert (now.split, now.sort, now.hidden, now.where) == ("train", (("a", False),), frozenset({"b"}), "a > 1")


def test_conversations_in_every_spelling() -> None:
    assert turns([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]) == [("user", "hi", {}), ("assistant", "yes", {})]
    assert turns([{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]) == [("user", "hi", {}), ("assistant", "yes", {})]
    call = [{"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]
    assert turns(call) == [("assistant", "", {"tool_calls": [{"name": "f"}]})]
    parts = [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image", "url": "x"}]}]
    assert turns(parts) == [("user", "see", {"content": [{"type": "image", "url": "x"}]})]
    for value in ([], "text", [1], [{"name": "x"}], [{"role": 3, "content": ""}], [{"role": "x"}], {"role": "user"}, None):
        assert turns(value) == []


def test_a_wave_is_as_wide_and_as_high_as_its_place() -> None:
    peaks = [(-math.sin(n / 9) / 50, math.sin(n / 9) / 50) for n in range(300)]
    lines = wave(peaks, 40, 6)
    assert [len(line) for line in lines] == [40] * 6
    assert any(dot != "⠀" for dot in lines[0]), "a quiet sound is drawn large"
    assert wave([(0.0, 0.0)] * 10, 4, 1) == ["⠤⠤⠤⠤"], "silence is a line in the middle"
    assert wave([(-1.0, 1.0)], 3, 1) == ["⣿⣿⣿"]
    assert wave([], 10, 2) == wave(peaks, 0, 2) == []


def test_lines_are_cut_by_cells_not_by_characters() -> None:
    assert cells("田中さん") == 8
    assert cut("田中さんにあげて", 9) == "田中さん…"
    assert all(cells(one_line("田中さん👩‍👩‍👧 e\u0301\u0301\u200b" * 9, width)) <= width for width in range(1, 40))
    assert [cells(pad(text, 10)) for text in ("ab", "田中", "e\u0301")] == [10, 10, 10]
    assert one_line(" " * 5000 + "x", 10) == "…"


def test_widths_fit_the_room_and_the_widest_give_way() -> None:
    from tui.widgets.rows import _fitting

    assert _fitting([5, 8], 100) == [5, 8]
    assert _fitting([5, 200, 40], 100) == [5, 49, 40]
    assert _fitting([300, 300], 100) == [48, 48]
    assert _fitting([300] * 50, 100) == [12] * 50
    assert _fitting([], 10) == []
