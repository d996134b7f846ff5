"""Large datasets for the benchmarks, written as an import writes them, once."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute

from engine.paths import write_json
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, SHARD = 1000, 1_000_000


def folder(name: str) -> Path:
    """Where a benchmark keeps its rows between runs."""
    return Path(os.environ.get("BITTERN_BENCH_HOME") or Path(tempfile.gettempdir()) / "bittern-bench") / "tables" / name


def dataset(name: str, rows: int, make: Callable[[int, int], pa.Table]) -> DatasetRecord:
    """``rows`` rows of ``make(start, count)``, in shards of a million and batches of a thousand as ``datasets`` writes them."""
    from datasets import Features

    from engine.data.shards import words

    root = folder(name)
    split = root / "train"
    shards = -(-rows // SHARD)
    names = [f"data-{number:05d}-of-{shards:05d}.arrow" for number in range(shards)]
    schema = make(0, 1).schema
    if not (split / "state.json").is_file():
        split.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(names):
            start = number * SHARD
            table = make(start, min(SHARD, rows - start))
            with pa.ipc.new_stream(str(split / file), schema) as writer:
                writer.write_table(table, max_chunksize=BATCH)
        features = Features.from_arrow_schema(schema).to_dict()
        write_json(split / "dataset_info.json", {"citation": "", "description": "", "features": features, "homepage": "", "license": ""})
        state = {
            "_fingerprint": name,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        write_json(split / "state.json", {"_data_files": [{"filename": file} for file in names], **state})
    said = json.loads((split / "dataset_info.json").read_text())["features"]
    kinds = {column: words(feature) for column, feature in said.items()}
    size = sum(file.stat().st_size for file in split.iterdir())
    return DatasetRecord(name, "made", str(root), name, {"train": rows}, kinds, "table", {}, size)


def narrow(start: int, count: int) -> pa.Table:
    """A number, a label and a short text."""
    numbers = np.arange(start, start + count)
    labels = pa.array(["refund", "late", "lost"]).take(pa.array(numbers % 3))
    text = pa.compute.binary_join_element_wise("ticket number", pa.array(numbers).cast(pa.string()), "says hello", " ")
    return pa.table({"n": numbers, "label": labels, "text": text})


def broad(start: int, count: int) -> pa.Table:
    """Ten columns of the kinds that tables have."""
    rng = np.random.default_rng(start)
    words = pa.array(["parcel", "late", "where", "refund", "please", "hello", "order", "broken", "thanks", "help"])
    parts = [words.take(pa.array(rng.integers(0, 10, count))) for _ in range(6)]
    amount = pa.array(np.round(rng.gamma(2, 30, count), 2), mask=rng.random(count) < 0.05)
    return pa.table({
        "id": np.arange(start, start + count), "stars": rng.integers(1, 6, count), "amount": amount, "score": rng.normal(0, 1, count),
        "label": pa.array(["refund", "late", "lost", "other"]).take(pa.array(rng.integers(0, 4, count))), "open": rng.random(count) < 0.3,
        "city": pa.array([f"city {n}" for n in range(500)]).take(pa.array(rng.integers(0, 500, count))),
        "day": pa.array(np.datetime64("2024-01-01") + rng.integers(0, 700, count)), "text": pa.compute.binary_join_element_wise(*parts, " "),
        "size": rng.integers(0, 100_000, count),
    })  # fmt: skip
