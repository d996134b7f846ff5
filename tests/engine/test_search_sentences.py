"""The best sentence of a hit: by words, and of the first few hits by meaning too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.commands.data.search import Search
from engine.engine import Engine
from engine.search import index as indexing
from engine.search.reader import POINTED, Reader
from engine.settings import Settings
from engine.store.workspace import Workspace
from tests.engine.test_search import job_of, put

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUND = "Get the form back to us by post. We refund the full price within five days. Parcels go out on Monday."
ROWS: list[dict[str, object]] = [
    {"text": REFUND},
    {"text": "One sentence about money."},
    *({"text": f"Bread number {n} needs flour. It needs water too."} for n in range(8)),
]
QUESTION = "how do I get my money back"


@pytest.fixture
def shop(with_starter: Path) -> Iterator[Workspace]:
    workspace = Workspace(with_starter, Settings(runner="thread"))
    put(workspace, "shop", ROWS, "one")
    indexing.build(job_of(workspace), workspace.datasets.get("shop"), "minilm", [])
    yield workspace
    workspace.close()


@pytest.mark.slow
def test_the_sentence_that_means_what_was_asked_is_chosen_before_one_that_shares_a_word(shop: Workspace) -> None:
    reader = Reader(shop, hosted=False)
    by_words = {hit.row: hit for hit in reader.search("shop", QUESTION, k=10, mode="dense") if hit.split == "train"}
    start, end = by_words[0].best or (0, 0)
    assert REFUND[start:end] == "Get the form back to us by post.", "by words alone"
    hits = sorted(by_words.values(), key=lambda hit: hit.row)
    hits = [hits[0], hits[1], *[replace(hit, best=None) for hit in hits[2:]]]
    pointed = reader.pointed("shop", QUESTION, hits, "dense")
    start, end = pointed[0].best or (0, 0)
    assert REFUND[start:end] == "We refund the full price within five days."
    assert pointed[1] == hits[1], "in one sentence there is nothing to choose"
    assert pointed[POINTED - 1].best is not None
    assert [replace(hit, best=None) for hit in pointed] == [replace(hit, best=None) for hit in hits], "nothing else changes"
    assert pointed[POINTED:] == hits[POINTED:]
    assert reader.pointed("shop", QUESTION, hits, "lexical") is hits and reader.pointed("shop", QUESTION, [], "dense") == []


@pytest.mark.slow
def test_search_shows_that_sentence_as_text_and_as_json(shop: Workspace) -> None:
    engine = Engine(shop.paths.root, working=False)
    result = engine.run(Search(query=QUESTION, on="shop", mode="dense", where="text LIKE '%refund%'"))
    engine.close()
    assert result.table is not None
    assert result.table.rows[0][2] == "… We refund the full price within five days. …"
    start, end = result.data["hits"][0]["best"]
    assert REFUND[start:end] == "We refund the full price within five days."
