"""Texts a second of the encoder as an index job runs it, beside ``SentenceTransformer.encode`` with its defaults.

Both in turns in one process, on the same texts of mixed lengths (titles, abstracts, passages, chat lines); the ratio of
CPU time is the one that other busy processes disturb least.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable

prepare_environment()
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TEXTS, ROUNDS = 200, 3


def mixed_texts(count: int) -> list[str]:
    """Different texts from three public collections, shuffled with a fixed seed; sentences of this page where they are absent."""
    found: list[str] = []
    for name in ("ir-cacm", "ir-xquad-en"):
        if (DATA / name / "corpus.jsonl").is_file():
            lines = (DATA / name / "corpus.jsonl").read_text("utf-8").splitlines()
            found += [" ".join(filter(None, (row.get("title"), row.get("text")))) for row in map(json.loads, lines)]
    for file in sorted((DATA / "cls-banking77").glob("*.csv"))[:1]:
        with file.open(encoding="utf-8") as opened:
            found += [row["text"] for row in csv.DictReader(opened)][:2000]
    if not found:
        words = (__doc__ or "").split()
        found = [" ".join(words[: 1 + number % 60] * (1 + number % 5)) + f" {number}" for number in range(count)]
    found = sorted(set(found))
    random.Random(7).shuffle(found)
    return found[:count]


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    from sentence_transformers import SentenceTransformer

    from engine.models.load import resolve
    from engine.search.encoder import Encoder
    from tests.bench.home import bench_home

    workspace = bench_home("minilm")
    folder, _ = resolve(workspace, workspace.models.get("minilm"))
    ours, peer = Encoder(folder), SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    texts = mixed_texts(TEXTS)
    walls, cpus = [], []
    for number in range(ROUNDS + 1):
        theirs, their_wall, their_cpu = timed(lambda: peer.encode(texts, normalize_embeddings=True))
        found, wall, cpu = timed(lambda: ours.documents(texts))
        if number:  # The first turn of each warms up.
            walls.append((len(texts) / wall, len(texts) / their_wall))
            cpus.append((len(texts) / cpu, len(texts) / their_cpu))
    kind = "packed BERT forward in torch" if ours._packed is not None else "sentence-transformers, sorted"
    print(f"{TEXTS} texts, {statistics.mean(map(len, texts)):.0f} characters on average; the index job's encoder: {kind}")
    for name, pairs in (("wall", walls), ("CPU", cpus)):
        mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:<5} {mine:7.1f} texts/s   SentenceTransformer.encode {other:7.1f} texts/s   ratio {ratio:.2f}   (wanted 1.5)")
    print(f"least cosine with its vectors: {float((found * theirs).sum(1).min()):.6f}")


if __name__ == "__main__":
    main()
