"""The Commands of search: what they refuse before anything is loaded, and what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.commands.data.search import Search, shown
from engine.commands.parse import from_argv, from_line, to_line
from engine.errors import DataError, NotFound, WordsError, from_dict
from engine.search.reader import Hit
from engine.store.datasets import DatasetRecord
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from engine.engine import Engine


@pytest.fixture
def shop(engine: Engine) -> Engine:
    features = {"subject": "string", "body": "string", "size:2": "int64"}
    engine.workspace.datasets.put(DatasetRecord("shop", "x", "/nowhere", "f", {"train": 3}, features, "text", {"text": "body"}, 0))
    engine.workspace.models.put(ModelRecord("minilm", "encoder", "tests", 1, folder="/nowhere"))
    return engine


@pytest.mark.parametrize(
    ("line", "says", "way_out"),
    [
        ("index shop --columns subjekt:2,body", "has no column “subjekt”", "Did you mean subject?"),
        ("index shop --columns subject:0,body:0", "weight 0", "--columns subject:2,body"),
        ("index shop --encoder minilm2", "no model called “minilm2”", "minilm"),
        ("search --on shop refund", "no index yet", "index shop"),
        ("search --on shop --rerank minilm refund", "is of the kind encoder, not a reranker", "cross-encoder"),
        ("search --on shop --rerank judge refund", "no model called “judge”", "models"),
        ("similar shop/train", "not a row's address", "NAME/SPLIT/ROW"),
        ("similar shop/train/1", "no index yet", "index shop"),
    ],
)
def test_what_can_be_known_to_fail_is_refused_with_a_way_out(shop: Engine, line: str, says: str, way_out: str) -> None:
    with pytest.raises((DataError, NotFound)) as caught:
        shop.run(from_line(line))
    assert says in caught.value.message
    assert way_out in caught.value.hint
    assert shop.jobs() == []


def test_columns_with_weights_and_a_column_whose_name_ends_like_one_become_a_job(shop: Engine) -> None:
    shop.queue.close(1)
    shop.run(from_line("index shop --columns subject:2,body,size:2"))
    (record,) = shop.jobs()
    assert record.title == "index shop"


def test_a_condition_is_one_quoted_word_and_comes_back_the_same() -> None:
    line = "search refund --where \"label = 'billing' AND size > 3\" --mode dense"
    read = from_line(line)
    assert isinstance(read, Search)
    assert (read.query, read.where, read.mode) == ("refund", "label = 'billing' AND size > 3", "dense")
    assert from_line(to_line(read)) == read


def test_a_hit_shows_its_best_sentence_with_the_words_marked() -> None:
    text = "A heron waits. It waits for fish."
    hit = Hit("a/b/1", "a", "b", 1, text, 1.0, 0.5, [(2, 7), (18, 23), (28, 32)], (15, 33))
    assert shown(hit) == "… It ‹waits› for ‹fish›."
    assert shown(Hit("a/b/1", "a", "b", 1, text, 1.0, 0.5)) == text


@pytest.mark.parametrize(
    ("argv", "query"),
    [
        (["search", "--mode", "dense", "who won the battle"], "who won the battle"),
        (["search", "who won", "--mode", "dense"], "who won"),
        (["search", "who", "won"], "who won"),
    ],
)
def test_a_shells_quotes_around_the_whole_query_are_no_part_of_it(argv: list[str], query: str) -> None:
    read = from_argv(argv)
    assert isinstance(read, Search)
    assert read.query == query


def test_quotes_inside_a_query_stay() -> None:
    read = from_line('search about "world war" --count 3')
    assert isinstance(read, Search)
    assert read.query == 'about "world war"'


def test_an_error_that_points_still_points_after_it_crossed_to_another_process() -> None:
    error = WordsError("There is no column “labl”.", "Did you mean label?", line="labl = 3", start=0, end=4)
    assert from_dict(error.as_dict()).as_dict() == error.as_dict()
