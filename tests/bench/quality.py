"""How sure the checks are: near duplicates against seeded corruptions of real rows, label hints against flipped labels, and the time of 100k rows."""

from __future__ import annotations

import csv
import hashlib
import random
import time
from pathlib import Path
from typing import Any

from engine.devices import prepare_environment

prepare_environment()
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cls-banking77" / "train.csv"
CORRUPTED, FLIPPED, SEED = 600, 0.05, 7
KEYS = {"q": "wa", "a": "sq", "e": "wr", "r": "et", "t": "ry", "i": "uo", "o": "ip", "n": "bm", "s": "ad", "d": "sf", "l": "ko", "c": "xv"}


def typo(text: str, chance: random.Random) -> str:
    """One letter left out, doubled, swapped with the next, or hit beside."""
    at = chance.choice([n for n, letter in enumerate(text[:-1]) if letter.isalpha()])
    how = chance.randrange(4)
    letter = text[at]
    beside = chance.choice(KEYS.get(letter.lower(), "x"))
    return text[:at] + ("", letter * 2, text[at + 1] + letter, beside)[how] + text[at + 1 + (how == 2) :]


def swapped(text: str, chance: random.Random) -> str:
    words = text.split()
    at = chance.randrange(len(words) - 1)
    words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


CORRUPTIONS = {
    "case and punctuation": lambda text, chance: text.upper().rstrip("?.! ") + chance.choice(["", "!!", " ?"]),
    "one typo": typo,
    "two typos": lambda text, chance: typo(typo(text, chance), chance),
    "two words swapped": swapped,
}  # fmt: skip


def rows() -> list[tuple[str, str]]:
    with DATA.open(encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def corrupted(chosen: list[tuple[str, str]], chance: random.Random) -> list[tuple[str, str, str, int]]:
    """``(text, label, how, its original)`` for a sample of rows."""
    kinds = list(CORRUPTIONS)
    numbers = chance.sample([n for n, (text, _) in enumerate(chosen) if len(text.split()) > 3], CORRUPTED)
    return [(CORRUPTIONS[kinds[i % 4]](chosen[n][0], chance), chosen[n][1], kinds[i % 4], n) for i, n in enumerate(numbers)]


def workspace_of(name: str, table: list[tuple[str, str]]) -> tuple[Any, Any, Any]:
    """A workspace, a job and the record of a dataset made of ``table``."""
    from datasets import Dataset

    from engine.jobs.context import CancelToken, JobContext
    from engine.store.datasets import DatasetRecord
    from tests.bench.home import bench_home

    workspace = bench_home("minilm")
    folder = workspace.paths.datasets / name
    Dataset.from_dict({"text": [text for text, _ in table], "label": [label for _, label in table]}).save_to_disk(str(folder / "train"))
    roles = {"text": "text", "label": "label"}
    record = DatasetRecord(
        name,
        name,
        str(folder),
        hashlib.sha256(repr(table).encode()).hexdigest()[:16],
        {"train": len(table)},
        {"text": "string", "label": "string"},
        "classification",
        roles,
        0,
    )
    workspace.datasets.put(record)
    return workspace, JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False), record


def near_duplicates() -> None:
    """Recall by the kind of corruption, and how often the labels of a pair agree, by threshold."""
    from engine.quality import meaning, near
    from engine.quality.corpus import Corpus
    from engine.quality.pairs import Pairs, representatives, same
    from engine.search.index import build
    from engine.search.vectors import load

    chance = random.Random(SEED)
    originals = chance.sample(rows(), 4000)
    made = corrupted(originals, chance)
    table = originals + [(text, label) for text, label, _, _ in made]
    workspace, job, record = workspace_of("bench-near", table)
    corpus, sketches = Corpus.of(record, None), near.Sketches(len(table))
    corpus.read(job, lambda batch: sketches.add(batch.first, batch.texts))
    chosen = representatives(corpus, same(corpus))
    build(job, record, "minilm", [])
    vectors = load(workspace, record.name)
    places, matrix = meaning.placed(corpus, [vectors])
    for how, module, thresholds in (("words", near, (0.5, 0.6, 0.7, 0.8)), ("meaning", meaning, (0.9, 0.93, 0.95, 0.97))):
        pairs = Pairs()
        if module is near:
            near.SAME, before = thresholds[0], near.SAME
            near.find(job, corpus, sketches, chosen, pairs)
            near.SAME = before
        else:
            meaning.find(job, places, matrix, pairs, thresholds[0])
        print(f"\nnear duplicates by {how}: {len(originals)} rows and {len(made)} corrupted copies")
        print(f"{'from':>6}{'pairs':>7}{'same label':>12}" + "".join(f"{kind:>22}" for kind in CORRUPTIONS))
        for least in thresholds:
            found = {(a, b) for a, b, score in zip(pairs.left, pairs.right, pairs.score, strict=True) if score >= least}
            natural = [pair for pair in found if max(pair) < len(originals)]
            agreeing = sum(table[a][1] == table[b][1] for a, b in natural) / max(1, len(natural))
            recalls = []
            for kind in CORRUPTIONS:
                mine = [(n, len(originals) + i) for i, (_, _, how_made, n) in enumerate(made) if how_made == kind]
                caught = sum(pair in found or corpus.digest[pair[0]] == corpus.digest[pair[1]] for pair in mine)
                recalls.append(caught / len(mine))
            mark = " *" if least == module.SAME else ""
            print(f"{least:>6}{len(natural):>7}{agreeing:>12.3f}" + "".join(f"{value:>22.3f}" for value in recalls) + mark)


def label_hints() -> None:
    """Flip some labels, and see which rows the hints point at."""
    import numpy as np

    from engine.quality import labels, meaning
    from engine.search.index import build
    from engine.search.vectors import load

    table = rows()
    workspace, job, record = workspace_of("bench-labels", table)
    build(job, record, "minilm", [])
    vectors = load(workspace, record.name)
    names = {name: number for number, name in enumerate(sorted({label for _, label in table}))}
    truth = np.asarray([names[table[row][1]] for _, row in vectors.addresses], np.int32)
    random_ = np.random.default_rng(SEED)
    wrong = random_.choice(len(truth), round(FLIPPED * len(truth)), replace=False)
    given = truth.copy()
    given[wrong] = (given[wrong] + random_.integers(1, len(names), len(wrong))) % len(names)
    began = time.monotonic()
    near = meaning.nearest(job, vectors.matrix, labels.NEIGHBOURS)
    seconds = time.monotonic() - began
    print(f"\nlabel hints: {len(wrong)} of {len(truth)} labels flipped, {len(names)} classes; neighbours took {seconds:.1f} s")
    print(f"{'from':>6}{'hints':>7}{'precision':>11}{'recall':>8}{'@100':>7}{'@500':>7}")
    flipped = set(wrong.tolist())
    for least in (0.0, 0.5, 0.75, 1.0, 1.5):
        found = [doubt.place in flipped for doubt in labels.doubts(vectors.matrix, near, given, least)]
        at = [sum(found[:k]) / max(1, len(found[:k])) for k in (100, 500)]
        mark = " *" if least == labels.MARGIN else ""
        print(f"{least:>6}{len(found):>7}{sum(found) / max(1, len(found)):>11.3f}{sum(found) / len(wrong):>8.3f}{at[0]:>7.2f}{at[1]:>7.2f}{mark}")


def scale() -> None:
    """100k rows: sentences of the questions' own words in their own frequency, a tenth of them copies with a typo."""
    import resource

    import numpy as np

    from engine.quality import labels, meaning
    from engine.quality.check import check
    from engine.quality.pairs import Pairs
    from engine.quality.report import KINDS

    chance = np.random.default_rng(SEED)
    words = np.asarray(" ".join(text for text, _ in rows()).split())
    table = [(" ".join(words[chance.integers(0, len(words), size)]), "ab"[size % 2]) for size in chance.integers(6, 30, 90_000).tolist()]
    table += [(typo(text, random.Random(number)), label) for number, (text, label) in enumerate(table[:10_000])]
    _, job, record = workspace_of("bench-scale", table)
    before, began, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), time.process_time()
    report = check(job, record, None, [kind for kind in KINDS if kind != "labels"])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = {finding.key: finding.rows for finding in report.findings}
    print(f"\n100k rows, by words: {time.monotonic() - began:.1f} s ({time.process_time() - cpu:.1f} s of CPU), {grown:.0f} MB more at most; {found}")
    matrix = chance.standard_normal((100_000, 384), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    for name, work in (
        ("pairs", lambda: meaning.find(job, np.arange(len(matrix)), matrix, Pairs())),
        ("neighbours", lambda: meaning.nearest(job, matrix, labels.NEIGHBOURS)),
    ):
        began, cpu = time.monotonic(), time.process_time()
        work()
        print(f"100k x 384 vectors, {name}: {time.monotonic() - began:.1f} s ({time.process_time() - cpu:.1f} s of CPU)")


def drawing() -> None:
    """A frame of the map: 10k points on a terminal of 160x45 cells."""
    import numpy as np

    from tui.widgets.dots import Window, draw

    chance = np.random.default_rng(SEED)
    x, y, kinds = chance.random(10_000, np.float32), chance.random(10_000, np.float32), chance.integers(0, 26, 10_000)
    began = time.perf_counter()
    for _ in range(50):
        draw(Window(), x, y, kinds, 116, 43, signs=False)
    print(f"\nthe map's dots, 10k points: {(time.perf_counter() - began) / 50 * 1000:.1f} ms a frame")


def main() -> None:
    drawing()
    if not DATA.is_file():
        print("cls-banking77 is not here, skipped")
        return
    scale()
    near_duplicates()
    label_hints()


if __name__ == "__main__":
    main()
