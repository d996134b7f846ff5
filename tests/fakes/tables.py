"""Datasets made of columns, in a workspace, without an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.results import Result


def say(engine: Engine, line: str) -> Result:
    """The answer to a line."""
    return engine.run(engine.parse(line))


def put(engine: Engine, name: str, splits: dict[str, dict[str, list[Any]]], fingerprint: str = "f1", **more: Any) -> DatasetRecord:
    """A dataset with these columns in each split, saved as an import saves it."""
    from datasets import Dataset

    from engine.data.shards import words

    folder = engine.workspace.paths.datasets / name / fingerprint
    made = {split: Dataset.from_dict(columns) for split, columns in splits.items()}
    for split, data in made.items():
        data.save_to_disk(str(folder / split))
    features = {column: words(feature) for column, feature in next(iter(made.values())).features.to_dict().items()}
    record = DatasetRecord(
        name, "columns", str(folder), fingerprint, {split: len(data) for split, data in made.items()}, features,
        more.get("shape", "table"), more.get("columns", {}), bytes=sum(file.stat().st_size for file in folder.rglob("*.arrow")),
    )  # fmt: skip
    engine.workspace.datasets.put(record)
    return record
