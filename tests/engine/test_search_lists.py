"""Lists of neighbours: what is found with them, beside a scan of every vector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.errors import Stopped
from engine.jobs.context import CancelToken, JobContext
from engine.search import candidates, lists, store, words
from engine.search import index as indexing
from engine.search.passages import Passage
from engine.search.reader import Reader
from engine.settings import Settings
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.engine.test_search import WORDS, contents, job_of, put, rows_of
from tests.fakes import encoder as fakes

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT, DIMENSION = 12_000, 32


def unit(values: Any) -> Any:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[store.Files, store.Files, Any]:
    """The same 12,000 passages with lists and without them, and 60 questions near to some of them. As the meanings of
    texts do, they gather round topics, loosely, and run into one another."""
    dice = np.random.default_rng(3)
    topics = dice.normal(size=(200, DIMENSION))
    chosen = dice.integers(0, len(topics), (COUNT, 2))
    vectors = unit(topics[chosen[:, 0]] + 0.5 * topics[chosen[:, 1]] + dice.normal(0, 0.3, (COUNT, DIMENSION)))
    texts = [f"{WORDS[first % 16]} {WORDS[second % 16]} number{number % 700}" for number, (first, second) in enumerate(chosen.tolist())]
    opened = []
    for listed in (True, False):
        folder = tmp_path_factory.mktemp("index")
        store.write_chunk(folder / "one.arrow", [Passage("train", row // 2, row % 2, ((text, 1.0),)) for row, text in enumerate(texts)], vectors)
        store.merge([folder / "one.arrow"], folder, DIMENSION)
        words.write(folder / store.WORDS, [[(text, 1.0)] for text in texts])
        if listed:
            lists.write(folder / store.LISTS, folder / store.VECTORS, lambda: None)
        store.write_facts(folder, way="", splits=["train"], passages=COUNT, plain=True)
        opened.append(store.Files(folder))
    return opened[0], opened[1], unit(vectors[:60] + dice.normal(0, 0.1, (60, DIMENSION)))


def test_sorting_into_lists_loses_no_vector(crowd: tuple[store.Files, store.Files, Any]) -> None:
    listed, plain, questions = crowd
    assert np.array_equal(listed.vector(slice(None)), plain.vector(slice(None)))
    assert np.array_equal(listed.vector(77), plain.vector(77))
    assert np.allclose(listed.scores(questions[0]), plain.scores(questions[0]), atol=1e-6)
    assert plain.near(questions[0], 10) is None


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_nearly_all_of_the_exact_ten_are_found_in_a_share_of_the_passages(
    crowd: tuple[store.Files, store.Files, Any], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(lists, "READ", 1000)
    monkeypatch.setattr(candidates, "EDGE", 200)
    listed, plain, questions = crowd
    recalls, read = [], []
    for number, question in enumerate(questions):
        lexical = listed.words.scores(f"{WORDS[number % 16]} {WORDS[number % 7]} number{number}") if mode == "hybrid" else None
        near, every = candidates.nearby(listed, question, lexical, 10), candidates.everything(plain, question, lexical)
        assert near is not None
        assert (np.diff(near.numbers) > 0).all(), "each once, in the order of the data"
        assert np.allclose(near.dense, every.dense[near.numbers], atol=1e-6)
        assert np.allclose(near.scores, every.scores[near.numbers], atol=1e-6)
        found = {int(near.numbers[place]) // 2 for place in near.best(listed, 10)}
        exact = {int(every.numbers[place]) // 2 for place in every.best(plain, 10)}
        recalls.append(len(found & exact) / 10)
        read.append(len(near.numbers) / COUNT)
    assert np.mean(recalls) >= 0.98
    assert np.mean(read) < 0.25


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def pond(home: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr(lists, "FROM", 200)
    monkeypatch.setattr(lists, "READ", 60)
    monkeypatch.setattr(lists, "FOR_EACH", 5)
    workspace = Workspace(home, Settings(runner="thread"))
    workspace.models.put(ModelRecord("tiny", "encoder", "tests", 1, folder=str(tiny_encoder)))
    put(workspace, "pond", rows_of(300), "one")
    yield workspace
    workspace.close()


@pytest.mark.slow
def test_an_index_with_lists_is_built_resumed_searched_and_added_to_as_one_without(pond: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    record = pond.datasets.get("pond")
    real, stops = lists._nearest, [True, False]

    def stopped(vectors: Any, centres: Any, check: Any) -> Any:
        if stops.pop(0):
            raise Stopped("pause")
        monkeypatch.setattr(lists, "_nearest", real)
        return real(vectors, centres, check)

    monkeypatch.setattr(lists, "_nearest", stopped)
    with pytest.raises(Stopped):
        indexing.build(job_of(pond), record, "tiny", [])
    assert pond.indexes.find("pond") is None
    listed = Path(indexing.build(job_of(pond), record, "tiny", []).folder)
    resumed, files = contents(listed), {file.name: file.read_bytes() for file in sorted((listed / store.LISTS).iterdir())}
    assert sorted(entry.name for entry in listed.iterdir()) == ["index.json", "lists", "passages.arrow", "places.npy", "vectors.npy", "words"]
    whole = Path(indexing.build(job_of(pond), record, "tiny", [], afresh=True).folder)
    assert resumed == contents(whole)
    assert files == {file.name: file.read_bytes() for file in sorted((whole / store.LISTS).iterdir())}

    reader = Reader(pond, hosted=False)
    modes, condition = ("dense", "hybrid"), "kind = 'dry'"
    where = {mode: [hit.score for hit in reader.search("pond", "heron pond", k=20, mode=mode, where=condition)] for mode in modes}
    deep = [hit.address for hit in reader.search("pond", "heron pond", k=300, mode="dense")]
    like = [hit.address for hit in reader.similar("pond", "test", 4, k=299)]
    assert len(set(deep)) == 300 and len(set(like)) == 299 and "pond/test/4" not in like, "more rows wanted than the lists hold: all are read"
    assert len(reader.similar("pond", "test", 4, k=5)) == 5
    monkeypatch.setattr(lists, "FROM", 10_000)
    indexing.build(job_of(pond), record, "tiny", [], afresh=True)
    reader = Reader(pond, hosted=False)
    assert not (Path(reader.index("pond").folder) / store.LISTS).exists()
    for mode, expected in where.items():
        exact = [hit.score for hit in reader.search("pond", "heron pond", k=20, mode=mode, where=condition)]
        assert np.allclose(expected, exact, atol=1e-6), "a condition costs no recall"
    monkeypatch.setattr(lists, "FROM", 200)
    longer = put(pond, "pond", rows_of(320), "two")
    added = contents(indexing.build(job_of(pond), longer, "tiny", []).folder)
    assert {key: text for key, (text, _) in added.items()} == {
        key: text for key, (text, _) in contents(indexing.build(job_of(pond), longer, "tiny", [], afresh=True).folder).items()
    }


@pytest.mark.slow
def test_a_pause_is_heard_while_the_lists_are_made(pond: Workspace) -> None:
    class Pausing(JobContext):
        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            if note == "sorting the vectors":
                self.token.ask("pause")

    with pytest.raises(Stopped):
        indexing.build(Pausing("1", pond, lambda event: None, CancelToken(), resumed=False), pond.datasets.get("pond"), "tiny", [])
    assert pond.indexes.find("pond") is None
