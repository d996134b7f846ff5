"""A classifier that says any number of labels of a text: each label is a yes or no of its own."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.errors import DataError
from engine.training.recipes.heads import Head

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord
    from engine.training.rows import Prepared


class Multilabel(Head):
    problem = "multi_label_classification"
    makes = "multilabel"

    def facts(self, record: DatasetRecord, rows: Any) -> dict[str, Any]:
        column = record.columns["labels"]
        names = sorted({str(label) for labels in rows[column] for label in labels or [] if label not in (None, "")})
        if not names:
            raise DataError(f"The column “{column}” of “{record.name}” has no label.", f"Look at it: show {record.name}")
        return {"labels": names}

    def target(self, record: DatasetRecord, row: dict[str, Any], facts: dict[str, Any]) -> list[float] | None:
        """1 for each label of the row, 0 for the others. A row without labels is an example of none."""
        labels = marked.labels_of(record, row)
        if labels is None or not set(labels) <= set(facts["labels"]):
            return None
        return [float(name in labels) for name in facts["labels"]]

    def measured(self, predictions: Any, targets: Any, prepared: Prepared) -> dict[str, float]:
        # A logit above 0 is a probability above one half.
        said, meant = predictions > 0, targets > 0.5
        whole = int(said.sum() + meant.sum())
        return {"micro_f1": 2 * int((said & meant).sum()) / whole if whole else 0.0, "subset_accuracy": float((said == meant).all(-1).mean())}
