"""How a model learns: which of its weights, by which of PEFT's methods, and how what it learnt is saved."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from engine.errors import BitternError, ModelError
from engine.models.load import check_quantised, first_line
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from engine.training.spec import TrainSpec

BEGAN = "bittern_began"
"""Where a model keeps what its adapter began with, when that came out of its base."""


def check(spec: TrainSpec) -> None:
    """Raises ``BitternError`` for what does not go together, before anything is loaded."""
    if spec.init != "default" and not spec.is_lora:
        raise BitternError(f"--init {spec.init} is LoRA's, and the method is {spec.method}.", "Leave it out, or give --method lora or rslora.")
    if spec.moves_base and spec.method == "dora":
        raise BitternError(f"DoRA and --init {spec.init} do not go together.", "Choose one: --method dora, or --method lora with that --init.")
    if spec.moves_base and spec.refers:
        raise BitternError(
            f"--init {spec.init} takes a part of the base into the adapter, and {spec.recipe} holds the answers against the base alone.",
            "Leave --init out, or learn preferences without a reference: --recipe dpo --loss orpo",
        )
    if spec.method == "prompt" and not RECIPES[spec.recipe].adapter:
        raise BitternError(
            f"A tuned prompt can't be merged, and what {spec.recipe} trains has to stand on its own.",
            f"Use --method lora, dora, rslora, ia3 or full; prompt is for chat models ({', '.join(name for name, facts in RECIPES.items() if facts.adapter)}).",
        )
    if spec.quantise != "none":
        _check_quantised(spec)


def _check_quantised(spec: TrainSpec) -> None:
    if not RECIPES[spec.recipe].adapter:
        raise BitternError(f"What {spec.recipe} trains is merged into its base, which {spec.quantise} would have rounded.", "Leave --quantise out.")
    if spec.method == "full":
        raise BitternError("Weights of 8 or 4 bits can't learn: only an adapter on them can.", "Give --method lora, or leave --quantise out.")
    if spec.method == "dora" and spec.quantise == "8bit":
        raise BitternError("DoRA can't measure weights of 8 bits (PEFT 0.21).", "Give --quantise 4bit, or --method lora.")
    if spec.moves_base:
        raise BitternError(f"--init {spec.init} needs the base's weights whole, and --quantise {spec.quantise} rounds them.", "Choose one of them.")
    check_quantised(spec.quantise)


def adapt(model: Any, spec: TrainSpec, task: str) -> Any:
    """``model`` as ``spec.method`` trains it; ``task`` is PEFT's task type. Weights that are new are drawn from torch's seed.

    PiSSA and OLoRA take what the adapter begins with out of the base. A training that goes on takes the same out of the
    same weights again, and finds the same rest; its adapter comes from the checkpoint.
    Raises ``ModelError`` where PEFT does not know how to put the method on this model; ``BitternError`` of :func:`check`.
    """
    check(spec)
    if spec.method == "full":
        return model
    from peft import get_peft_model, get_peft_model_state_dict

    try:
        adapted = get_peft_model(model, _config(spec, task))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{spec.method} can't train “{spec.base}”: {first_line(error)}", "Use --method lora, or full.") from error
    if spec.moves_base and RECIPES[spec.recipe].adapter:
        began = get_peft_model_state_dict(adapted)
        setattr(adapted, BEGAN, {name: weight.detach().clone().contiguous() for name, weight in began.items()})
    return adapted


def save(model: Any, folder: Path) -> None:
    """Write a model, or its adapter alone, so that the adapter fits the base as it was before the training.

    What an adapter of rank r learnt beyond its beginning is one of rank 2r, which PEFT writes (PiSSA, Meng et al. 2024, §C).
    """
    began = getattr(model, BEGAN, None)
    if began is None:
        model.save_pretrained(folder)
        return
    from safetensors.torch import save_file

    with TemporaryDirectory(prefix="bittern-") as place:
        first = Path(place) / "began"  # PEFT calls an adapter by its folder's name, in which it takes no full stop.
        first.mkdir()
        save_file(began, first / "adapter_model.safetensors", {"format": "pt"})
        model.save_pretrained(folder, path_initial_model_for_weight_conversion=str(first))


def _config(spec: TrainSpec, task: str) -> Any:
    """PEFT's configuration of a method. Sources: LoRA arXiv 2106.09685, DoRA 2402.09353, rsLoRA 2312.03732, IA3 2205.05638,
    prompt tuning 2104.08691; PiSSA 2404.02948, OLoRA 2406.01775."""
    from peft import IA3Config, LoraConfig, PromptTuningConfig

    if spec.method == "ia3":
        return IA3Config(task_type=task)
    if spec.method == "prompt":
        return PromptTuningConfig(task_type=task, num_virtual_tokens=spec.virtual_tokens)
    # Dropout before an adapter that holds the base's main directions would drop the model itself.
    return LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=0.0 if spec.moves_base else spec.dropout, target_modules=spec.target_modules, task_type=task,
        use_dora=spec.method == "dora", use_rslora=spec.method == "rslora", init_lora_weights=True if spec.init == "default" else spec.init,
    )  # fmt: skip
