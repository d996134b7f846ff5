"""A classifier from an encoder: one label for each text, or for two texts together."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.training.recipes.heads import Head

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


class Classify(Head):
    problem = "single_label_classification"

    def facts(self, record: DatasetRecord, rows: Any) -> dict[str, Any]:
        column = record.columns["label"]
        names = sorted({name for name in label_names(rows, column) if name})
        if len(names) < 2:
            raise DataError(f"The column “{column}” of “{record.name}” has {len(names)} labels.", "A classifier needs at least two.")
        return {"labels": names}

    def target(self, record: DatasetRecord, row: dict[str, Any], facts: dict[str, Any]) -> int | None:
        name = "" if (value := row.get(record.columns["label"])) is None else str(value)
        return facts["labels"].index(name) if name in facts["labels"] else None

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"label_smoothing_factor": spec.label_smoothing}

    def measured(self, predictions: Any, targets: Any, prepared: Prepared) -> dict[str, float]:
        return {"accuracy": float((predictions == targets).mean())}

    def reduce(self, logits: Any, labels: Any) -> Any:
        return logits.argmax(-1)


def label_names(rows: Any, column: str) -> list[str]:
    """The labels of a ``datasets.Dataset`` as words; an empty string where there is none."""
    return ["" if value is None else str(value) for value in rows[column]]
