"""A hundred thousand passages: a question from a cold shell, the same one warm, and how many of the exact ten are found.

``python -m tests.bench.search 1000000`` does the same with a million (or as many as it is told), which takes a quarter of
an hour and 5 GB the first time: past ``lists.FROM`` the index reads lists of neighbours.

The passages are made once: four sentences each, drawn at random from the public collections; a passage's vector is the
mean of its sentences' real vectors, of length 1, with a little noise. So the words and the meanings are real ones, and
the index does not cost a quarter of an hour. The cold figure is the wall time of a whole ``bittern search`` process.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from engine.store.workspace import Workspace

prepare_environment()
ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
SENTENCES, NAME = 1200, "bench-passages" if ROWS == 100_000 else f"bench-passages-{ROWS}"
QUESTIONS = ("who won the battle", "compiler for a small machine", "what is the capital of the empire", "lost card abroad", "sorting in linear time",
             "how do plants make oxygen", "exchange rate is wrong", "proof of termination", "the power of the state", "matrix inversion error")  # fmt: skip


def sentences(count: int) -> list[str]:
    from tests.bench.embedding import mixed_texts

    found = [part.strip() for text in mixed_texts(2000) for part in re.split(r"(?<=[.?!])\s+", text)]
    return random.Random(5).sample(sorted({part for part in found if 20 < len(part) < 160}), count)


def make(workspace: Workspace) -> None:
    """The dataset and its index, as the index job would leave them."""
    import numpy as np
    from datasets import Dataset

    from engine.models.load import resolve
    from engine.search import lists, store, words
    from engine.search.encoder import Encoder
    from engine.search.index import folder_of, way_of
    from engine.search.passages import Passage
    from engine.store.datasets import DatasetRecord
    from engine.store.indexes import IndexRecord

    model = workspace.models.get("minilm")
    parts = sentences(SENTENCES)
    own = Encoder(resolve(workspace, model)[0]).documents(parts)
    dice = np.random.default_rng(11)
    chosen = dice.integers(0, len(parts), (ROWS, 4))
    vectors = own[chosen[:, 0]]
    for column in chosen.T[1:]:
        vectors += own[column]
    vectors = vectors / np.float32(4) + dice.normal(0, 0.01, vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [" ".join(parts[number] for number in row) for row in chosen.tolist()]
    folder = workspace.paths.datasets / NAME
    Dataset.from_dict({"text": texts, "size": list(range(ROWS))}).save_to_disk(str(folder / "train"))
    features = {"text": "string", "size": "int64"}
    record = DatasetRecord(NAME, NAME, str(folder), "bench-2", {"train": ROWS}, features, "text", {"text": "text"}, 0)
    workspace.datasets.put(record)
    place = folder_of(workspace, record, model, [])
    place.mkdir(parents=True, exist_ok=True)
    parts_of = [place / f"{first}.arrow" for first in range(0, ROWS, 100_000)]
    for first, file in zip(range(0, ROWS, 100_000), parts_of, strict=True):
        here = range(first, min(ROWS, first + 100_000))
        store.write_chunk(file, [Passage("train", row, 0, ((texts[row], 1.0),)) for row in here], vectors[first : here.stop])
    store.merge(parts_of, place, vectors.shape[1])
    for file in parts_of:
        file.unlink()
    if ROWS >= lists.FROM:
        started, spent = time.perf_counter(), time.process_time()
        lists.write(place / store.LISTS, place / store.VECTORS, lambda: None)
        print(f"lists of neighbours made in {time.perf_counter() - started:.0f} s wall, {time.process_time() - spent:.0f} s CPU")
    words.write(place / store.WORDS, ([(text, 1.0)] for text in texts))
    store.write_facts(place, way=way_of(model, []), splits=["train"], passages=ROWS, plain=True)
    workspace.indexes.put(IndexRecord(NAME, record.fingerprint, "minilm", str(place), [], ROWS))


def cold(root: Path, question: str, *flags: str) -> tuple[float, float, list[str]]:
    """Wall seconds, CPU seconds, addresses."""
    started, before = time.perf_counter(), os.times()
    words = [sys.executable, "-m", "tui", "--workspace", str(root), "--json", "search", "--on", NAME, *flags, question]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, spent, [hit["address"] for hit in json.loads(done.stdout)["hits"]]


def main() -> None:
    from engine.jobs.context import CancelToken
    from engine.models.load import resolve
    from engine.search.tables import Tables
    from tests.bench.home import bench_home

    workspace = bench_home("minilm")
    index = workspace.indexes.find(NAME)
    if index is None or not Path(index.folder).is_dir():
        make(workspace)
        index = workspace.indexes.find(NAME)
    assert index is not None
    folder, _ = resolve(workspace, workspace.models.get("minilm"))
    tables, token = Tables(str(folder), 0), CancelToken()

    def ask(question: str, **more: Any) -> list[str]:
        found = tables.search(folder=index.folder, query=question, count=10, cancel=token, **{"mode": "hybrid", **more})
        return [f"{NAME}/{item['split']}/{item['row']}" for item in found]

    from_a_shell(workspace, ask)
    files = tables._files(index.folder)
    encode = tables._encoder(files).encode
    warm(encode, ask)
    recall(workspace, files, encode, ask)


def from_a_shell(workspace: Any, ask: Any) -> None:
    for mode in ("hybrid", "dense", "lexical"):
        times, spent, same = [], [], 0
        for question in QUESTIONS[:5]:
            seconds, cpu, found = cold(workspace.paths.root, question, "--mode", mode)
            times.append(seconds)
            spent.append(cpu)
            same += found == ask(question, mode=mode)
        print(
            f"cold shell, {mode:<8} {statistics.median(times):6.2f} s wall (best {min(times):.2f}), {statistics.median(spent):.2f} s CPU; same ten as warm: {same} of 5   (wanted 2 s)"
        )


def warm(encode: Any, ask: Any) -> None:
    for mode in ("hybrid", "dense", "lexical"):
        wall, cpu = [], []
        for question in QUESTIONS * 3:
            started, spent = time.perf_counter(), time.process_time()
            if mode != "lexical":
                encode([question], "query")
            middle, half = time.perf_counter(), time.process_time()
            ask(question, mode=mode)
            # The search encodes the question again: what the encoder took just before is taken off.
            wall.append((time.perf_counter() - middle) - (middle - started))
            cpu.append((time.process_time() - half) - (half - spent))
        p50, own = 1000 * statistics.median(wall), 1000 * statistics.median(cpu)
        print(f"warm, {mode:<8} p50 beyond the encoder's own time: {p50:6.1f} ms wall, {own:6.1f} ms CPU   (wanted 30)")


def recall(workspace: Any, files: Any, encode: Any, ask: Any) -> None:
    from dataclasses import asdict

    import numpy as np

    from engine.search.fusion import fused

    shares, mixed, narrow = [], [], []
    allowed = np.arange(ROWS) % 50 == 0
    for question in QUESTIONS:
        scores = files.scores(encode([question], "query")[0])
        exact = {f"{NAME}/train/{row}" for row in np.argsort(-scores, kind="stable")[:10]}
        shares.append(len(exact & set(ask(question, mode="dense"))) / 10)
        both = fused(scores, files.words.scores(question))
        exact = {f"{NAME}/train/{row}" for row in np.argsort(-both, kind="stable")[:10]}
        mixed.append(len(exact & set(ask(question))) / 10)
        exact = {f"{NAME}/train/{row}" for row in np.argsort(-np.where(allowed, scores, -2), kind="stable")[:10]}
        found = ask(question, mode="dense", where="size % 50 = 0", dataset=asdict(workspace.datasets.get(NAME)))
        narrow.append(len(exact & set(found)) / 10)
    means = [statistics.mean(found) for found in (shares, mixed, narrow)]
    print("recall@10 of the exact ten: dense {:.3f}, hybrid {:.3f}, with --where {:.3f}   (wanted .98)".format(*means))


if __name__ == "__main__":
    main()
