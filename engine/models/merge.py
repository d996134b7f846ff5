"""Adapters joined with each other, or with their base. A whole model comes out, or an adapter of the same base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.models.load import attach, first_line, load_causal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

How = Literal["linear", "cat", "svd", "ties", "dare_linear", "dare_ties"]
NAME = "merged"


def into_base(base: Path, adapters: Sequence[Path], weights: Sequence[float], how: How, folder: Path) -> None:
    """Write base and adapters as one model, in float32; one adapter is merged as it is.

    Raises ``ModelError``.
    """
    model, tokenizer = _joined(base, adapters, weights, how)
    whole = model.merge_and_unload(safe_merge=True)
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


def _joined(base: Path, adapters: Sequence[Path], weights: Sequence[float], how: How) -> tuple[Any, Any]:
    model, tokenizer = load_causal(base, dtype="float32")
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
