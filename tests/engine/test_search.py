"""Passages, the index and the reader, with the real encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import DataError, NotFound, Stopped
from engine.jobs.context import CancelToken, JobContext
from engine.search import index as indexing
from engine.search.guide import add_guide, guide_rows
from engine.search.passages import OVERLAP, WORDS, pieces
from engine.search.reader import Reader
from engine.search.tables import fuse, rows_of
from engine.settings import Settings
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.events import Event


def test_a_long_row_becomes_overlapping_pieces_that_hold_every_word() -> None:
    text = " ".join(f"word{n}" for n in range(400))
    found = pieces(text)
    assert all(len(piece.split()) <= WORDS for piece in found)
    assert found[0].split()[-OVERLAP:] == found[1].split()[:OVERLAP]
    assert {word for piece in found for word in piece.split()} == set(text.split())
    assert pieces("short  text") == ["short  text"]
    assert pieces("  \n ") == []


def test_fusion_rewards_what_both_methods_found() -> None:
    def item(row: int) -> dict[str, object]:
        return {"split": "train", "row": row, "piece": 0, "text": str(row), "score": 1.0, "cosine": None}

    dense, lexical = [item(1), item(2), item(3)], [item(4), item(2), item(5)]
    order = [found["row"] for found in fuse(dense, lexical)]
    assert order[0] == 2
    assert set(order) == {1, 2, 3, 4, 5}
    assert [found["row"] for found in rows_of([item(7), item(7), item(8)])] == [7, 8]


def test_the_guide_has_a_row_for_each_section() -> None:
    rows = guide_rows()
    assert len(rows) > 30
    assert all(row["title"] and row["page"] and row["text"].startswith(row["title"]) for row in rows)


@pytest.fixture
def house(with_starter: Path) -> Iterator[Workspace]:
    workspace = Workspace(with_starter, Settings(runner="thread"))
    add_guide(job_of(workspace))
    yield workspace
    workspace.close()


def job_of(workspace: Workspace, token: CancelToken | None = None, heard: list[Event] | None = None) -> JobContext:
    job = JobContext("1", workspace, (heard if heard is not None else []).append, token or CancelToken(), resumed=False)
    job.folder.mkdir(parents=True, exist_ok=True)
    return job


def contents(folder: str) -> dict[str, list[float]]:
    import lancedb

    table = lancedb.connect(folder).open_table("passages").to_arrow()
    return dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))


@pytest.mark.slow
def test_rows_are_found_by_meaning_and_by_words_and_hostile_queries_do_no_harm(house: Workspace) -> None:
    guide = house.datasets.get("guide")
    indexing.build(job_of(house), guide, "minilm", [])
    reader = Reader(house, hosted=False)
    by_meaning = reader.search("guide", "the electricity went out", k=3, mode="dense")
    assert "power" in by_meaning[0].text
    assert by_meaning[0].address.startswith("guide/train/")
    assert reader.search("guide", "McNemar", k=1, mode="lexical")[0].text.startswith("How sure a difference is")
    both = reader.search("guide", "pause a running job", k=5)
    assert "Pausing and resuming" in both[0].text
    assert [hit.score for hit in both] == sorted((hit.score for hit in both), reverse=True)
    for query in ('"', "AND OR (", "a:b^2~", "😀", "';--", "\\", "*", " . "):
        assert isinstance(reader.search("guide", query, k=2), list)
    near = reader.similar("guide", "train", both[0].row, k=3)
    assert both[0].row not in [hit.row for hit in near]
    with pytest.raises(DataError, match="not in the index"):
        reader.similar("guide", "train", 9999)
    ranked = reader.rank("guide", "pause a job", ["`pause 3` stops a running job.", "Bread needs flour."])
    assert ranked[0] > 0.4 > ranked[1]
    assert reader.stale("guide") is False
    reader.close()


@pytest.mark.slow
def test_an_index_that_was_stopped_goes_on_and_equals_a_whole_one(house: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 8)
    guide = house.datasets.get("guide")
    token = CancelToken()

    class StopsInTheMiddle(JobContext):
        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            if note == "embedding" and done >= 20:
                self.token.ask("pause")

    job = StopsInTheMiddle("1", house, lambda event: None, token, resumed=False)
    with pytest.raises(Stopped):
        indexing.build(job, guide, "minilm", [])
    assert house.indexes.find("guide") is None, "an index that is not whole is not on the list"
    half = contents(str(indexing.folder_of(house, guide, house.models.get("minilm"), [])))
    assert 0 < len(half) < guide.rows

    resumed = indexing.build(job_of(house), guide, "minilm", [])
    after = contents(resumed.folder)
    assert resumed.passages == len(after) == guide.rows
    assert all(after[name] == vector for name, vector in half.items()), "what was there was kept, not embedded again"
    whole = contents(indexing.build(job_of(house), guide, "minilm", [], afresh=True).folder)
    assert after == whole
    assert indexing.fresh(house, guide, house.models.get("minilm"), []) is not None
    assert [entry.name for entry in house.paths.indexes.iterdir()] == [(house.indexes.find("guide") or resumed).folder.rsplit("/", 1)[-1]]


def test_a_dataset_without_an_index_says_how_to_make_one(house: Workspace) -> None:
    reader = Reader(house, hosted=False)
    with pytest.raises(NotFound) as caught:
        reader.search("guide", "anything")
    assert "index guide" in caught.value.hint
    with pytest.raises(NotFound, match="no dataset called “guid”"):
        reader.search("guid", "anything")
