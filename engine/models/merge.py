"""Adapters joined with each other, or with their base. A whole model comes out, or an adapter of the same base."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.models.load import attach, first_line, load_causal, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

How = Literal["linear", "cat", "svd", "ties", "dare_linear", "dare_ties"]
Dtype = Literal["float32", "bfloat16", "float16"]
NAME = "merged"


def into_base(base: Path, adapters: Sequence[Path], weights: Sequence[float], how: How, folder: Path, dtype: Dtype = "float32") -> None:
    """Write base and adapters as one model; one adapter is merged as it is.

    They are joined in float32, whatever ``dtype`` is written. Raises ``ModelError``, for a tuned prompt too: it adds
    nothing to any weight.
    """
    model, tokenizer = _joined(base, adapters, weights, how)
    if not hasattr(model, "merge_and_unload"):
        raise unmergeable(adapters[0])
    whole = model.merge_and_unload(safe_merge=True)
    if dtype != "float32":
        import torch

        whole = whole.to(getattr(torch, dtype))
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def into_one(base: Path, adapters: Sequence[Path], weights: Sequence[float], how: How, folder: Path) -> None:
    """Write several LoRA adapters as one, by PEFT's ``add_weighted_adapter``. Raises ``ModelError``."""
    model, tokenizer = _joined(base, adapters, weights, how)
    model.save_pretrained(folder, selected_adapters=[NAME])
    inside = folder / NAME
    if inside.is_dir():  # PEFT writes an adapter that is not the default one into a folder of its name.
        for file in inside.iterdir():
            file.rename(folder / file.name)
        inside.rmdir()
    tokenizer.save_pretrained(folder)


def check_joinable(adapters: Sequence[Path]) -> None:
    """Raises ``ModelError`` for adapters that are more than LoRA's two matrices: PEFT would join these, and lose the rest."""
    for adapter in adapters:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        kind = "DoRA" if config.get("use_dora") else str(config.get("peft_type", "LORA"))
        if kind != "LORA":
            raise ModelError(
                f"{adapter.name} is a {kind.replace('_', ' ').lower() if kind != 'DoRA' else kind} adapter; only LoRA and rsLoRA adapters can be joined.",
                "Merge it alone, into its base.",
            )


def unmergeable(adapter: Path) -> ModelError:
    """An adapter that is no change of weights."""
    return ModelError(
        f"The adapter in {adapter} is a tuned prompt: it stands before the text and changes no weight, so it can't be merged.",
        "Export it as an adapter, or train with --method lora, dora, rslora or ia3.",
    )


def _joined(base: Path, adapters: Sequence[Path], weights: Sequence[float], how: How) -> tuple[Any, Any]:
    model, tokenizer = load_causal(base, dtype="float32")
    if (adapters[0] / "tokenizer_config.json").is_file():
        # A base model has no chat template: what it was trained with stands beside the adapter alone.
        tokenizer = load_tokenizer(adapters[0])
    model = attach(model, adapters[0])
    if len(adapters) == 1:
        return model, tokenizer
    names = ["default"]
    more: dict[str, Any] = {"density": 0.5} if how in ("ties", "dare_linear", "dare_ties") else {}
    try:
        for number, adapter in enumerate(adapters[1:], 1):
            model.load_adapter(str(adapter), adapter_name=f"a{number}")
            names.append(f"a{number}")
        # PEFT puts every scale into the joined weights, but would copy rsLoRA's √rank to them once more.
        for name in names:
            model.peft_config[name].use_rslora = False
        model.add_weighted_adapter(names, list(weights), NAME, combination_type=how, **more)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise ModelError(
            f"These adapters can't be joined by {how}: {first_line(error)}", "`--how cat` or `svd` joins adapters of different ranks."
        ) from error
    model.set_adapter(NAME)
    return model, tokenizer
