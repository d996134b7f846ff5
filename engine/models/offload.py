"""Models larger than memory: accelerate places each layer on the GPU, in RAM or on the disk, and brings it in when its turn comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.devices import gpu_memory
from engine.errors import ModelError
from engine.models.load import cannot_load, load_tokenizer
from engine.models.sight import folder_sees
from engine.models.tensors import check_folder

if TYPE_CHECKING:
    from pathlib import Path


def load_placed(folder: Path, dtype: str, device: str, memory: int) -> tuple[Any, Any, str]:
    """``(model, tokenizer, where)``: at most ``memory`` bytes of weights in RAM, what a GPU has room for on it (untested: there is
    none here), and the rest read from the safetensors files at each step. ``where`` says it, as “cpu, 12 of 32 parts on the disk”.

    Raises ``ModelError``.
    """
    import torch
    from accelerate import infer_auto_device_map, init_empty_weights
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    if folder_sees(folder):
        raise ModelError(f"{folder.name} sees pictures: it can't be kept on the disk in part.", "Leave --memory out.")
    check_folder(folder)
    tokenizer = load_tokenizer(folder)
    # A tenth of each GPU is left to the activations and the KV cache.
    room: dict[int | str, int] = {number: int(0.9 * gpu.free) for number, gpu in enumerate(gpu_memory() if device == "cuda" else ())}
    room["cpu"] = memory
    try:
        with init_empty_weights():
            empty = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
        empty.tie_weights()
        places = infer_auto_device_map(
            empty, max_memory=room, no_split_module_classes=list(empty._no_split_modules or ()), dtype=getattr(torch, dtype)
        )
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=places, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise cannot_load(folder, error) from error
    for config in (model.config, model.generation_config):
        config.pad_token_id = tokenizer.pad_token_id
    away = sum(place == "disk" for place in places.values())
    return model.eval(), tokenizer, f"{device}, {away} of {len(places)} parts on the disk" if away else device
