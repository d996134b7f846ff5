"""A regressor from an encoder: a number for each text, or for two texts together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.errors import DataError, ModelError
from engine.training.recipes.heads import Head

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store.datasets import DatasetRecord
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec


class Regress(Head):
    """The numbers are learnt less their mean and in units of their spread, so that prices and shares learn alike with one
    learning rate; before it is saved the head is scaled back, and the model says the numbers as they are in the rows."""

    problem = "regression"
    makes = "regressor"

    def facts(self, record: DatasetRecord, rows: Any) -> dict[str, Any]:
        import numpy as np

        column = record.columns["score"]
        found = np.array([number for row in rows.select_columns([column]) if (number := marked.number_of(record, row)) is not None])
        if len(found) < 2 or found.std() == 0:
            raise DataError(
                f"The column “{column}” of “{record.name}” has {len(set(found.tolist()))} different numbers.", "A regressor needs at least two."
            )
        return {"labels": [column], "mean": float(found.mean()), "spread": float(found.std())}

    def target(self, record: DatasetRecord, row: dict[str, Any], facts: dict[str, Any]) -> float | None:
        number = marked.number_of(record, row)
        return None if number is None else (number - facts["mean"]) / facts["spread"]

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        model = super().model(spec, folder, prepared)
        if last_layer(model).bias is None:
            raise ModelError(f"“{spec.base}” has a head that can't be moved to where the numbers are.", "Take an encoder such as BERT or RoBERTa.")
        return model

    def measured(self, predictions: Any, targets: Any, prepared: Prepared) -> dict[str, float]:
        import numpy as np
        from scipy.stats import spearmanr

        said, spread = predictions.reshape(-1), prepared.facts["spread"]
        found = {"mae": float(np.abs(said - targets).mean() * spread)}
        if np.ptp(said) > 0 and np.ptp(targets) > 0:
            found["spearman"] = float(spearmanr(said, targets).statistic)
        return found

    def finish(self, model: Any, prepared: Prepared) -> None:
        import torch

        layer, facts = last_layer(model), prepared.facts
        with torch.no_grad():
            layer.weight.mul_(facts["spread"])
            layer.bias.mul_(facts["spread"]).add_(facts["mean"])


def last_layer(model: Any) -> Any:
    """The linear layer that says the number. Raises ``ModelError``."""
    import torch

    found = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear) and layer.out_features == 1]
    if not found:
        raise ModelError("The model has no layer that says one number.", "Take an encoder such as BERT or RoBERTa.")
    return found[-1]
