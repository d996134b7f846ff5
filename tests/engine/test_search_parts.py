"""The parts of search that need no model: terms, cutting, word search, fusion, marks, conditions."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.search import analysis, marks, words
from engine.search.bert import batches
from engine.search.fusion import fused
from engine.search.passages import Cutter, weighted

if TYPE_CHECKING:
    from pathlib import Path


def by_word(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def by_character(text: str) -> list[tuple[int, int]]:
    return [(at, at + 1) for at, char in enumerate(text) if not char.isspace()]


def test_case_accents_and_endings_do_not_count_and_unspaced_scripts_go_by_pairs() -> None:
    assert analysis.document("The Jobs were resuming; ÉLECTIONS in Zürich") == ["job", "resum", "elect", "zurich"]
    assert analysis.query("resumed jobs jobs") == ["resum", "job"]
    assert analysis.query("to be or not to be") == ["to", "be", "or", "not"], "a query of stop words is still a query"
    assert analysis.query("天空蓝") == ["天空", "空蓝"]
    assert set(analysis.query("天空蓝")) <= set(analysis.document("今天空蓝得很"))
    assert analysis.document("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"], "vowel signs belong to their word"
    assert analysis.document(" .;\t🙂") == []


def test_a_text_is_cut_by_tokens_into_overlapping_pieces_that_hold_all_of_it() -> None:
    text = " ".join(f"word{n}" for n in range(400))
    cuts = Cutter(by_word, 100, 20).cuts(text)
    assert all(len(text[start:end].split()) <= 100 for start, end in cuts)
    assert cuts[0][0] == 0 and cuts[-1][1] == len(text)
    assert all(later[0] < earlier[1] for earlier, later in itertools.pairwise(cuts)), "neighbours overlap"
    assert text[cuts[1][0] : cuts[0][1]].split() == text[: cuts[0][1]].split()[-20:]
    cutter = Cutter(by_word, 100, 20)
    assert cutter.pieces("  short  text ") == ["short  text"]
    assert cutter.pieces("  \n ") == []


@pytest.mark.parametrize(
    ("text", "offsets"),
    [("天空是蓝色的" * 300, by_character), ("x" * 50_000, by_word), ("x" * 50_000, by_character), (" " * 9000 + "end", by_word)],
    ids=["chinese", "one-token", "characters", "space"],
)  # fmt: skip
def test_chinese_and_a_line_without_spaces_are_cut_too(text: str, offsets: object) -> None:
    cutter = Cutter(offsets, 100, 20)  # type: ignore[arg-type]
    cuts = cutter.cuts(text)
    covered = np.zeros(len(text), dtype=bool)
    for start, end in cuts:
        covered[start:end] = True
        assert len(text[start:end].strip()) <= 900
    assert covered.all()


def test_a_cut_falls_between_sentences_where_it_can() -> None:
    text = "One two three four five six. " * 60
    assert all(piece.endswith("six.") for piece in Cutter(by_word, 100, 20).pieces(text))
    chinese = "天空是蓝色的。" * 60
    assert all(piece.endswith("。") for piece in Cutter(by_character, 100, 20).pieces(chinese))


def test_weights_follow_the_last_colon_unless_it_is_the_columns_own_name() -> None:
    assert weighted(["subject:2", "body", "a:b", "rate:0.5"]) == [("subject", 2.0), ("body", 1.0), ("a:b", 1.0), ("rate", 0.5)]
    assert weighted(["q:2"], {"q:2": "string"}) == [("q:2", 1.0)]


def bm25(documents: list[list[str]], query: list[str]) -> list[float]:
    """The formula, written out slowly."""
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for term in query:
            holders = sum(term in other for other in documents)
            weight = np.log(1 + (len(documents) - holders + 0.5) / (holders + 0.5))
            count = document.count(term)
            score += weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(document) / mean))
        scores.append(float(score))
    return scores


def test_word_search_is_bm25_whatever_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["red fox runs", "the red red barn stands by the river", "fox and hound", "", "a quiet pond", "river fox river"]
    expected = bm25([analysis.document(text) for text in texts], ["red", "fox", "river"])
    for size in (2, 100):
        monkeypatch.setattr(words, "SEGMENT", size)
        words.write(tmp_path / str(size), [[(text, 1.0)] for text in texts])
        found = words.Words(tmp_path / str(size))
        assert found.scores("red fox rivers").tolist() == pytest.approx(expected, rel=1e-5)
        assert found.scores("nothing here knows zebras").tolist() == [0.0] * len(texts)
        assert found.weights("red zebra")["zebra"] > found.weights("red zebra")["red"] > 0
    words.write(tmp_path / "weighed", [[("fox", 3.0), ("barn", 1.0)], [("barn", 3.0), ("fox", 1.0)]])
    first, second = words.Words(tmp_path / "weighed").scores("fox")
    assert first > second > 0


def test_fusion_keeps_how_much_better_one_is_and_of_one_method_its_own_scores() -> None:
    dense, lexical = np.array([0.9, 0.2, 0.1, 0.7], np.float32), np.array([0.0, 8.0, 1.0, 7.0], np.float32)
    assert int(fused(dense, lexical).argmax()) == 3, "good in both beats best in one"
    assert fused(dense, None).tolist() == dense.tolist()
    assert fused(None, lexical).tolist() == lexical.tolist()
    assert fused(dense, np.zeros(4, np.float32)).argsort().tolist() == dense.argsort().tolist(), "no word matches: by meaning"


def test_matching_words_and_the_best_sentence_are_marked() -> None:
    text = "Herons wait. A heron is waiting near Dr. Smith's pond for fish! Nothing else."
    terms = {"heron": 1.0, "pond": 2.0}
    assert [text[start:end] for start, end in marks.marked(text, terms)] == ["Herons", "heron", "pond"]
    start, end = marks.best_sentence(text, terms) or (0, 0)
    assert text[start:end] == "A heron is waiting near Dr. Smith's pond for fish!"
    assert marks.best_sentence(text, {"zebra": 1.0}) is None
    chinese = "水很深。天空是蓝色的。"
    start, end = marks.best_sentence(chinese, {"蓝色": 1.0}) or (0, 0)
    assert chinese[start:end] == "天空是蓝色的。"
    assert [chinese[start:end] for start, end in marks.marked(chinese, {"蓝色": 1.0, "色的": 1.0})] == ["蓝色的"]
    endless = "x " * 500 + "heron " + "y " * 500
    start, end = marks.best_sentence(endless, terms) or (0, 0)
    assert "heron" in endless[start:end] and end - start <= marks.WIDEST


def test_batches_hold_every_text_once_within_the_budget() -> None:
    lengths = [5, 900, 30, 30, 2000, 1, 64]
    found = list(batches(lengths, 1024))
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= 1024 for batch in found)
