"""nDCG@10 and recall@10 of dense, lexical and hybrid search on public collections (skipped where they are absent)."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from engine.devices import prepare_environment

prepare_environment()
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FLOORS = {"ir-xquad-en": 0.959, "ir-cacm": 0.409}
MODES = ("dense", "lexical", "hybrid")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def collection(folder: Path) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, float]]]:
    """``(documents, queries, judgements)`` of a folder in BEIR's layout."""

    def one(stem: str) -> Path:
        return next(path for path in sorted(folder.rglob(f"{stem}*")) if path.suffix in (".jsonl", ".tsv", ".csv"))

    def text(row: dict[str, str]) -> str:
        return " ".join(part for part in (row.get("title", ""), row.get("text", row.get("query", ""))) if part)

    def key(row: dict[str, str]) -> str:
        return str(row.get("_id") or row.get("id") or row.get("doc_id") or row.get("query_id"))

    judged: dict[str, dict[str, float]] = {}
    for row in rows(one("qrels")):
        values = list(row.values())
        query, document = str(row.get("query-id") or row.get("query_id") or values[0]), str(row.get("corpus-id") or row.get("doc_id") or values[1])
        judged.setdefault(query, {})[document] = float(row.get("score") or row.get("relevance") or values[-1])
    return {key(row): text(row) for row in rows(one("corpus"))}, {key(row): text(row) for row in rows(one("queries"))}, judged


def ndcg(ranked: list[str], relevant: dict[str, float], k: int = 10) -> float:
    gain = sum(relevant.get(name, 0.0) / math.log2(place + 2) for place, name in enumerate(ranked[:k]))
    ideal = sum(value / math.log2(place + 2) for place, value in enumerate(sorted(relevant.values(), reverse=True)[:k]))
    return gain / ideal if ideal else 0.0


def main() -> None:
    from datasets import Dataset

    from engine.jobs.context import CancelToken, JobContext
    from engine.search.index import build
    from engine.search.reader import Reader
    from engine.store.datasets import DatasetRecord
    from tests.bench.home import bench_home

    workspace = bench_home("minilm")
    print(f"{'collection':<14}{'mode':<10}{'nDCG@10':>8}{'recall@10':>11}")
    for name, floor in FLOORS.items():
        if not (DATA / name).is_dir():
            print(f"{name:<14}not here, skipped")
            continue
        documents, queries, judged = collection(DATA / name)
        ids = list(documents)
        folder = workspace.paths.datasets / f"bench-{name}"
        Dataset.from_dict({"text": [documents[key] for key in ids]}).save_to_disk(str(folder / "train"))
        record = DatasetRecord(name, name, str(folder), str(len(ids)), {"train": len(ids)}, {"text": "string"}, "text", {"text": "text"}, 0)
        workspace.datasets.put(record)
        build(JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False), record, "minilm", [])
        reader = Reader(workspace, hosted=False)
        for mode in MODES:
            scores, recalls = [], []
            for query, relevant in judged.items():
                if not any(relevant.values()):
                    continue
                found = [ids[hit.row] for hit in reader.search(name, queries[query], k=10, mode=mode)]
                scores.append(ndcg(found, relevant))
                wanted = [key for key, value in relevant.items() if value > 0]
                recalls.append(len(set(found) & set(wanted)) / len(wanted))
            mark = f"   (floor {floor})" if mode == "hybrid" else ""
            print(f"{name:<14}{mode:<10}{sum(scores) / len(scores):>8.3f}{sum(recalls) / len(recalls):>11.3f}{mark}", flush=True)


if __name__ == "__main__":
    main()
