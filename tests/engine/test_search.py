"""The index and the reader, with a tiny encoder and with the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.commands.data.search import shown
from engine.errors import DataError, ModelError, NotFound, Stopped
from engine.jobs.context import CancelToken, JobContext
from engine.search import bert, store, vectors
from engine.search import index as indexing
from engine.search.encoder import Encoder
from engine.search.guide import add_guide, guide_rows
from engine.search.reader import Reader
from engine.settings import Settings
from engine.store.datasets import DatasetRecord
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes import encoder as fakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.events import Event

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["heron", "reed", "pond", "power", "water", "sky", "blue", "fish", "boat", "rain", "stone", "moss", "wind", "cloud", "frog", "nest"]


def rows_of(count: int, offset: int = 0) -> list[dict[str, object]]:
    """Rows whose words differ, with a label and a number to choose by."""
    return [
        {
            "text": " ".join(WORDS[(n * step + n // 7) % len(WORDS)] for step in range(1, 6)) + f" number {n}.",
            "kind": ("wet", "dry")[n % 2],
            "size": n,
        }
        for n in range(offset, offset + count)
    ]


def put(workspace: Workspace, name: str, rows: list[dict[str, object]], fingerprint: str) -> DatasetRecord:
    from datasets import Dataset

    folder = workspace.paths.datasets / f"{name}-{fingerprint}"
    half = len(rows) // 2
    for split, part in (("train", rows[:half]), ("test", rows[half:])):
        Dataset.from_list(part).save_to_disk(str(folder / split))
    features = {"text": "string", "kind": "string", "size": "int64", "subject": "string"}
    record = DatasetRecord(
        name, name, str(folder), fingerprint, {"train": half, "test": len(rows) - half}, {key: features[key] for key in rows[0]}, "text", {"text": "text"}, 0
    )  # fmt: skip
    workspace.datasets.put(record)
    return record


def job_of(workspace: Workspace, token: CancelToken | None = None, heard: list[Event] | None = None) -> JobContext:
    job = JobContext("1", workspace, (heard if heard is not None else []).append, token or CancelToken(), resumed=False)
    job.folder.mkdir(parents=True, exist_ok=True)
    return job


def contents(folder: str | Path) -> dict[tuple[str, int, int], tuple[str, bytes]]:
    """Every passage of a finished index: its text and its vector, bit by bit."""
    files = store.Files(Path(folder))
    return {(*files.key(n), int(files.piece[n])): (files.text(n), files.vector(n).tobytes()) for n in range(len(files))}


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def pond(home: Path, tiny_encoder: Path) -> Iterator[Workspace]:
    """A workspace with a tiny encoder and 300 rows."""
    workspace = Workspace(home, Settings(runner="thread"))
    workspace.models.put(ModelRecord("tiny", "encoder", "tests", 1, folder=str(tiny_encoder)))
    put(workspace, "pond", rows_of(300), "one")
    yield workspace
    workspace.close()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_the_encoder_without_torch_gives_the_same_vectors(tmp_path: Path, pooling: str) -> None:
    from sentence_transformers import SentenceTransformer

    folder = fakes.encoder(tmp_path / "model", pooling=pooling)
    texts = ["heron", "", "天空是蓝色的", "the power pond " * 60, "reed, 1.5! Ünïcode", "heron"]
    expected = SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(texts, normalize_embeddings=True)
    plain = bert.read(folder)
    assert plain is not None
    assert np.abs(plain.encode(texts) - expected).max() < 1e-5
    full = Encoder(folder)
    assert full.plain is not None, "found to agree"
    assert np.abs(full.documents(texts) - expected).max() < 1e-5
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    assert bert.read(folder) is None, "another activation is left to sentence-transformers"
    assert np.abs(Encoder(folder).documents(["heron"]) - Encoder(folder).encode(["heron"], "query")).max() < 1e-5


@pytest.mark.slow
def test_searching_by_each_mode_with_a_condition_and_like_a_row(pond: Workspace) -> None:
    indexing.build(job_of(pond), pond.datasets.get("pond"), "tiny", [])
    reader = Reader(pond, hosted=False)
    assert [hit.row for hit in reader.search("pond", "number 17", k=1, mode="lexical")] == [17]
    for mode in ("dense", "lexical", "hybrid"):
        hits = reader.search("pond", "heron pond", k=20, mode=mode)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len({hit.address for hit in hits}) == len(hits) == 20
        assert (hits[0].cosine is None) == (mode == "lexical")
        dry = reader.search("pond", "heron pond", k=300, mode=mode, where="kind = 'dry' AND size >= 40 OR _row = 3 AND _split = 'train'")
        everything = list(reader.search("pond", "heron pond", k=300, mode=mode))
        wanted = [
            hit.address for hit in everything
            for size in [hit.row + (150 if hit.split == "test" else 0)] if (size % 2 and size >= 40) or hit.address == "pond/train/3"
        ]  # fmt: skip
        assert [hit.address for hit in dry] == wanted, "the condition chooses before the best are taken"
    assert reader.search("pond", "zebra", k=5, mode="lexical") == []
    assert reader.search("pond", "heron", where="size < 0") == []
    found = reader.search("pond", "number heron", k=1, mode="lexical")[0]
    assert [found.text[start:end] for start, end in found.spans].count("heron") >= 1
    assert "‹heron›" in shown(found) and "‹number›" in shown(found)
    near = reader.similar("pond", "test", 4, k=5, where="kind = 'wet'")
    assert len(near) == 5 and all(hit.row % 2 == 0 for hit in near) and "pond/test/4" not in [hit.address for hit in near]
    for query in ('"', "AND OR (", "a:b^2~", "😀", "';--", "\\", "*", " . "):
        assert isinstance(reader.search("pond", query, k=2), list)
    with pytest.raises(DataError, match="not in the index"):
        reader.similar("pond", "train", 9999)
    for condition, word in (("colour = 'dry'", "colour"), ("kind = = 2", "="), ("size > 3) OR (1 = 1", None), ("size > 1; DROP TABLE x", None)):
        with pytest.raises(DataError) as caught:
            reader.search("pond", "heron", where=condition)
        assert caught.value.line == condition
        if word:
            assert condition[caught.value.start : caught.value.end] == word
    loaded = vectors.load(pond, "pond")
    assert loaded.addresses[:2] == [("train", 0), ("train", 1)] and len(loaded.addresses) == 300
    assert np.allclose(np.linalg.norm(loaded.matrix, axis=1), 1, atol=1e-5)
    put(pond, "pond", rows_of(310), "two")
    assert reader.stale("pond") is True
    with pytest.raises(DataError, match="wrong rows"):
        reader.search("pond", "heron", where="size > 3")
    with pytest.raises(NotFound, match="changed"):
        vectors.load(pond, "pond")
    reader.close()


@pytest.mark.slow
def test_weighted_columns_and_long_rows_become_one_row_again(pond: Workspace) -> None:
    rows: list[dict[str, object]] = [{"subject": f"about {word}", "text": "stone moss " * 50} for word in WORDS]
    record = put(pond, "letters", rows, "one")
    indexing.build(job_of(pond), record, "tiny", ["subject:3", "text"])
    reader = Reader(pond, hosted=False)
    files = store.Files(Path(reader.index("letters").folder))
    assert len(files) > 3 * len(rows), "long texts are cut"
    assert all(files.text(number).startswith("about ") for number in range(len(files))), "each passage has the subject"
    hits = reader.search("letters", "about frog", k=5)
    assert hits[0].text.startswith("about frog")
    assert len({hit.address for hit in hits}) == 5
    (plain,) = Encoder(Path(pond.models.get("tiny").folder)).documents(["about heron"])
    body = Encoder(Path(pond.models.get("tiny").folder)).documents([files.fields(0)[1][0]])[0]
    expected = 3 * plain + body
    assert np.allclose(files.vector(0), expected / np.linalg.norm(expected), atol=1e-5)
    assert len(vectors.load(pond, "letters").addresses) == len(rows)


@pytest.mark.slow
def test_only_new_and_changed_rows_are_embedded_and_the_result_is_that_of_a_fresh_index(pond: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    indexing.build(job_of(pond), pond.datasets.get("pond"), "tiny", [])
    rows = rows_of(320)
    rows[7] = {**rows[7], "text": "a changed row about frogs"}
    del rows[100]
    record = put(pond, "pond", rows, "two")
    asked: list[str] = []
    real = Encoder.documents
    monkeypatch.setattr(Encoder, "documents", lambda self, texts, each=None: (asked.extend(texts), real(self, texts, each))[1])
    after = contents(indexing.build(job_of(pond), record, "tiny", []).folder)
    assert sorted(asked) == sorted(["a changed row about frogs", *(str(row["text"]) for row in rows_of(20, 300))])
    fresh = contents(indexing.build(job_of(pond), record, "tiny", [], afresh=True).folder)
    assert len(asked) == 21 + 319, "afresh keeps nothing"
    assert {key: text for key, (text, _) in after.items()} == {key: text for key, (text, _) in fresh.items()}
    for key, (_, vector) in after.items():
        assert np.allclose(np.frombuffer(vector, np.float32), np.frombuffer(fresh[key][1], np.float32), atol=1e-5)


KILLED = """
import sys, time
from pathlib import Path
from engine.devices import prepare_environment
prepare_environment()
from engine.jobs.context import CancelToken, JobContext
from engine.search import index
from engine.settings import Settings
from engine.store.workspace import Workspace
index.CHUNK = 16
workspace = Workspace(Path(sys.argv[1]), Settings(runner="thread"))
class Slow(JobContext):
    def progress(self, done, total, unit, note=""):
        time.sleep(0.02)
job = Slow("1", workspace, lambda event: None, CancelToken(), resumed=False)
index.build(job, workspace.datasets.get("pond"), "tiny", [])
"""


@pytest.mark.slow
def test_after_a_kill_the_next_run_goes_on_to_the_same_index(pond: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 16)
    record = pond.datasets.get("pond")
    folder = indexing.folder_of(pond, record, pond.models.get("tiny"), [])
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(pond.paths.root)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("chunks/0*.arrow"))) < 4:
        assert process.poll() is None, "the build ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert pond.indexes.find("pond") is None, "an index that is not whole is not on the list"
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("chunks/0*.arrow")}
    assert 4 <= len(kept) < 20
    embedded: list[str] = []
    real = store.write_chunk
    monkeypatch.setattr(store, "write_chunk", lambda file, *rest: (embedded.append(file.name), real(file, *rest))[1])
    resumed = indexing.build(job_of(pond), record, "tiny", [])
    assert not set(embedded) & set(kept), "what was there was kept, not embedded again"
    after = contents(resumed.folder)
    reader = Reader(pond, hosted=False)
    queries = ("heron pond", "number 17", "the sky")
    found = [[(hit.address, hit.score) for hit in reader.search("pond", query)] for query in queries]
    whole = indexing.build(job_of(pond), record, "tiny", [], afresh=True)
    assert after == contents(whole.folder)
    assert found == [[(hit.address, hit.score) for hit in reader.search("pond", query)] for query in queries]
    assert indexing.fresh(pond, record, pond.models.get("tiny"), []) is not None
    assert [entry.name for entry in pond.paths.indexes.iterdir()] == [Path(whole.folder).name], "nothing half-made stays"


@pytest.mark.slow
def test_a_pause_is_heard_and_what_was_done_is_kept(pond: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 50)

    class StopsInTheMiddle(JobContext):
        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            if note == "embedding" and done >= 150:
                self.token.ask("pause")

    with pytest.raises(Stopped):
        indexing.build(StopsInTheMiddle("1", pond, lambda event: None, CancelToken(), resumed=False), pond.datasets.get("pond"), "tiny", [])
    folder = indexing.folder_of(pond, pond.datasets.get("pond"), pond.models.get("tiny"), [])
    assert len(list(folder.glob("chunks/*.arrow"))) == 3
    assert indexing.build(job_of(pond), pond.datasets.get("pond"), "tiny", []).passages == 300


@pytest.mark.slow
def test_a_reranker_orders_the_best_anew_and_a_classifier_is_refused(pond: Workspace, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder, sorter = fakes.reranker(tmp_path / "judge"), fakes.reranker(tmp_path / "sorter", classes=3)
    for name, path in (("judge", folder), ("sorter", sorter)):
        pond.models.put(ModelRecord(name, "classifier", "tests", 1, folder=str(path)))
    indexing.build(job_of(pond), pond.datasets.get("pond"), "tiny", [])
    reader = Reader(pond, hosted=False)
    best = reader.search("pond", "heron pond", k=30)
    judged = reader.search("pond", "heron pond", k=5, rerank="judge")
    scores = CrossEncoder(str(folder), device="cpu").predict([("heron pond", hit.text) for hit in best])
    order = [best[number].address for number in sorted(range(30), key=lambda number: -scores[number])]
    assert [hit.address for hit in judged] == order[:5]
    with pytest.raises(ModelError, match="3 classes"):
        reader.search("pond", "heron", rerank="sorter")


def test_an_index_of_an_earlier_version_or_a_damaged_one_is_named_as_such(pond: Workspace, tmp_path: Path) -> None:
    from engine.store.indexes import IndexRecord

    reader = Reader(pond, hosted=False)
    with pytest.raises(NotFound) as caught:
        reader.search("pond", "anything")
    assert "index pond" in caught.value.hint
    with pytest.raises(NotFound, match="no dataset called “pnd”"):
        reader.search("pnd", "anything")
    pond.indexes.put(IndexRecord("pond", "one", "tiny", str(tmp_path), [], 3))
    with pytest.raises(NotFound, match="earlier version") as caught:
        reader.search("pond", "anything")
    assert "index pond" in caught.value.hint
    with pytest.raises(NotFound):
        vectors.load(pond, "pond")


@pytest.mark.slow
def test_a_cold_search_from_the_shell_imports_no_torch_and_ranks_as_the_warm_one(pond: Workspace) -> None:
    indexing.build(job_of(pond), pond.datasets.get("pond"), "tiny", [])
    reader = Reader(pond, hosted=False)
    script = (
        "import sys; from tui.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'datasets', 'lancedb', 'scipy', 'sklearn'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    for mode in ("dense", "hybrid", "lexical"):
        words = ["--workspace", str(pond.paths.root), "--json", "search", "--on", "pond", "--mode", mode, "--count", "7", "heron", "pond"]
        done = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr.strip().splitlines()[-1] == "[]"
        hits = json.loads(done.stdout)["hits"]
        assert [hit["address"] for hit in hits] == [hit.address for hit in reader.search("pond", "heron pond", k=7, mode=mode)]
        assert set(hits[0]) == {"address", "score", "cosine", "text", "spans", "best"}


def test_the_guide_has_a_row_for_each_section() -> None:
    rows = guide_rows()
    assert len(rows) > 30
    assert all(row["title"] and row["page"] and row["text"].startswith(row["title"]) for row in rows)


@pytest.mark.slow
def test_the_guide_is_found_by_meaning_and_by_words(with_starter: Path) -> None:
    house = Workspace(with_starter, Settings(runner="thread"))
    add_guide(job_of(house))
    indexing.build(job_of(house), house.datasets.get("guide"), "minilm", [])
    reader = Reader(house, hosted=False)
    by_meaning = reader.search("guide", "the electricity went out", k=3, mode="dense")
    assert "power" in by_meaning[0].text
    assert by_meaning[0].address.startswith("guide/train/")
    assert reader.search("guide", "McNemar", k=1, mode="lexical")[0].text.startswith("How sure a difference is")
    both = reader.search("guide", "pause a running job", k=5)
    assert "Pausing and resuming" in both[0].text
    near = reader.similar("guide", "train", both[0].row, k=3)
    assert both[0].row not in [hit.row for hit in near]
    ranked = reader.rank("guide", "pause a job", ["`pause 3` stops a running job.", "Bread needs flour."])
    assert ranked[0] > 0.4 > ranked[1]
    assert replace(both[0], score=1.0).best is not None
    house.close()
