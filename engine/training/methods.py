"""How a model learns: which of its weights, by which of PEFT's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.training.spec import TrainSpec


def adapt(model: Any, spec: TrainSpec, task: str) -> Any:
    """``model`` as ``spec.method`` trains it; ``task`` is PEFT's task type. Weights that are new are drawn from torch's seed."""
    if spec.method == "full":
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, target_modules=spec.target_modules, task_type=task)
    return get_peft_model(model, config)
