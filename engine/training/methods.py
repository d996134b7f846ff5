"""How a model learns: which of its weights, by which of PEFT's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.load import first_line

if TYPE_CHECKING:
    from engine.training.spec import TrainSpec


def adapt(model: Any, spec: TrainSpec, task: str) -> Any:
    """``model`` as ``spec.method`` trains it; ``task`` is PEFT's task type. Weights that are new are drawn from torch's seed.

    Raises ``ModelError`` where PEFT does not know how to put the method on this model.
    """
    if spec.method == "full":
        return model
    from peft import get_peft_model

    try:
        return get_peft_model(model, _config(spec, task))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{spec.method} can't train “{spec.base}”: {first_line(error)}", "Use --method lora, or full.") from error


def _config(spec: TrainSpec, task: str) -> Any:
    """PEFT's configuration of a method. Sources: LoRA arXiv 2106.09685, DoRA 2402.09353, rsLoRA 2312.03732, IA3 2205.05638,
    prompt tuning 2104.08691."""
    from peft import IA3Config, LoraConfig, PromptTuningConfig

    if spec.method == "ia3":
        return IA3Config(task_type=task)
    if spec.method == "prompt":
        return PromptTuningConfig(task_type=task, num_virtual_tokens=spec.virtual_tokens)
    return LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, target_modules=spec.target_modules, task_type=task,
        use_dora=spec.method == "dora", use_rslora=spec.method == "rslora", init_lora_weights=True if spec.init == "default" else spec.init,
    )  # fmt: skip
