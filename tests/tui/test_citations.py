"""The rows under an answer or a search: the best sentence of each, with the words asked for in bold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual.app import App

from tui.text import cells, clean, marked_line
from tui.widgets.entries import Citations

if TYPE_CHECKING:
    from textual.app import ComposeResult

TEXT = "A heron waits.\nIt waits for fish. Then it sleeps."
HIT: dict[str, Any] = {"address": "pond/train/1", "text": TEXT, "spans": [(2, 7), (18, 23), (28, 32)], "best": (15, 33)}


class Page(App[None]):
    def __init__(self, passages: list[dict[str, Any]]) -> None:
        super().__init__()
        self.passages = passages

    def compose(self) -> ComposeResult:
        yield Citations(self.passages, "")


@pytest.mark.parametrize(
    ("passage", "line", "bold"),
    [
        (HIT, "[1] pond/train/1  … It waits for fish. …", ["waits", "fish"]),
        ({**HIT, "best": None}, "[1] pond/train/1  A heron waits. It waits for fish. Then it sleeps.", ["heron", "waits", "fish"]),
        ({**HIT, "spans": []}, "[1] pond/train/1  … It waits for fish. …", []),
        ({"n": 4, "address": "pond/train/1", "text": TEXT, "quote": "It waits for fish.", "words": [[13, 17]]}, "[4] pond/train/1  It waits for fish.", ["fish"]),
        ({"address": "pond/train/1", "text": TEXT, "quote": "It waits."}, "[1] pond/train/1  It waits.", []),
    ],
)  # fmt: skip
async def test_a_row_shows_its_best_sentence_and_the_words_in_bold(passage: dict[str, Any], line: str, bold: list[str]) -> None:
    page = Page([passage])
    async with page.run_test(size=(100, 10)):
        content = page.query_one(Citations).get_option_at_index(0).prompt
        assert content.plain == line  # type: ignore[union-attr]
        assert [content.plain[span.start : span.end] for span in content.spans if span.style == "bold"] == bold  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["a\x1b[31mheron\x1b[0m \u202edeen", "héron 鷺が待つ " * 40, "x" * 5000, "", " \n\t "])
def test_pieces_are_safe_and_fit_wherever_the_marks_stand(text: str) -> None:
    for spans in ([], [(0, len(text))], [(1, 2), (3, 9)], [(2, 4), (4, 6)], [(0, 99_999)], [(5, 3)]):
        pieces = marked_line(text, spans, 40)
        whole = "".join(piece for piece, _ in pieces)
        assert cells(whole) <= 40
        assert clean(whole) == whole and "\n" not in whole and "  " not in whole
