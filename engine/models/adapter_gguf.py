"""A PEFT LoRA adapter as a GGUF adapter for llama.cpp, so that a tuned model chats as fast as its base.

What llama.cpp's convert_lora_to_gguf.py does: ``lora_a`` ``[rank, inputs]`` and ``lora_b`` ``[outputs, rank]`` under the
names of the base's weights; llama.cpp adds ``alpha / rank · B · A · x``. Made once, kept in the workspace, and made again
when the adapter changes.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.gguf_header import read_header
from engine.models.gguf_write import ROTATED, rotated
from engine.models.tensors import Tensors

if TYPE_CHECKING:
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

FAMILIES = ("llama", "qwen2")
"""Architectures of llama.cpp whose adapters were checked against transformers, logit by logit."""
MADE_FROM = "bittern.made_from"
KEY = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")


def cannot(record: ModelRecord, base: ModelRecord) -> str:
    """Why an adapter can't go through llama.cpp, in words; empty when it can. Looks at its config and its base's header."""
    if not base.gguf:
        return f"{base.name} is here for transformers alone"
    try:
        config = json.loads((Path(record.folder) / "adapter_config.json").read_text("utf-8"))
        header = read_header(Path(base.gguf))
    except (OSError, ValueError, ModelError) as error:
        return str(error)
    if str(config.get("peft_type", "LORA")).upper() != "LORA":
        return f"it is a {config['peft_type']} adapter, and llama.cpp knows LoRA alone"
    for field, what in (
        ("use_dora", "it is a DoRA adapter"), ("modules_to_save", "it holds whole modules beside LoRA"), ("lora_bias", "its LoRA has biases"),
        ("trainable_token_indices", "it learnt rows of the embeddings"), ("fan_in_fan_out", "its layers are stored turned"),
        ("target_parameters", "it adapts bare parameters"), ("layer_replication", "it repeats layers"),
    ):  # fmt: skip
        if config.get(field):
            return what
    if config.get("bias", "none") != "none":
        return "it learnt biases"
    if template_of(record.folder) and not header.template:
        return "it has a chat template of its own, and its base has none"
    return "" if header.family in FAMILIES else f"adapters of {header.family or 'this'} models were not checked against transformers"


def template_of(adapter: str) -> str:
    """The chat template in an adapter's folder: a base model that was tuned has one only there. Empty where there is none."""
    file = Path(adapter) / "chat_template.jinja"
    return file.read_text("utf-8") if adapter and file.is_file() else ""


def convert_adapter(workspace: Workspace, record: ModelRecord, base: ModelRecord) -> Path:
    """The GGUF file of an adapter, made now where there is none of its present state.

    Raises ``ModelError`` for an adapter that llama.cpp can't use (see :func:`cannot`) or whose files are damaged.
    """
    if found := converted(workspace, record, base):
        return found
    final = _place(workspace, record)
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        _write(Path(record.folder), Path(base.gguf), temporary, _state(record, base))
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def converted(workspace: Workspace, record: ModelRecord, base: ModelRecord) -> Path | None:
    """The GGUF file of an adapter in its present state, if it was made already."""
    final = _place(workspace, record)
    try:
        if final.is_file() and read_header(final).metadata.get(MADE_FROM) == _state(record, base):
            return final
    except (ModelError, OSError):
        pass  # A damaged copy is made again; an adapter whose files are gone is told of when it is used.
    return None


def _place(workspace: Workspace, record: ModelRecord) -> Path:
    return workspace.paths.models / f"{record.name}.adapter.gguf"


def _state(record: ModelRecord, base: ModelRecord) -> str:
    stats = [(Path(record.folder) / name).stat() for name in ("adapter_model.safetensors", "adapter_config.json")]
    return " ".join([record.created, base.gguf, *(f"{about.st_size}:{about.st_mtime_ns}" for about in stats)])


def _write(folder: Path, base: Path, out: Path, made_from: str) -> None:
    import gguf
    import numpy as np

    header = read_header(base)
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    pairs = _pairs(Tensors(folder / "adapter_model.safetensors"), folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[header.family.upper()], int(header.get("block_count")))
    alpha = float(config["lora_alpha"])
    writer = gguf.GGUFWriter(out, header.family)
    writer.add_type("adapter")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_string(MADE_FROM, made_from)
    heads = int(header.get("attention.head_count"))
    for module, (down, up) in pairs.items():
        name = names.get_name(f"{module}.weight", (".weight",))
        if name is None or name not in header.tensors:
            raise ModelError(f"The adapter in {folder} adapts “{module}”, which its base has not in llama.cpp.", "It chats through transformers.")
        inputs, outputs = header.tensors[name][0]
        if (down.shape[1], up.shape[0]) != (inputs, outputs):
            raise ModelError(
                f"The adapter in {folder} does not fit its base: “{module}” has {inputs} × {outputs} there.",
                "Use it with the model it was trained on.",
            )
        turned = up
        if header.family in ROTATED and module.endswith(("q_proj", "k_proj")):
            turned = rotated(up, heads if module.endswith("q_proj") else int(header.get("attention.head_count_kv", heads)))
        # llama.cpp scales by alpha / rank, the one alpha for all: what PEFT scales otherwise goes into B.
        scale = _scaling(config, module, down.shape[0]) * down.shape[0] / alpha
        writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(down))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(turned * np.float32(scale)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _pairs(tensors: Tensors, folder: Path) -> dict[str, tuple[Any, Any]]:
    """``module -> (A, B)``. Raises ``ModelError``."""
    sides: dict[str, dict[str, Any]] = {}
    for key in tensors.names():
        if (match := KEY.match(key)) is None:
            raise ModelError(f"The adapter in {folder} holds “{key}”, which is no part of a LoRA.", "It chats through transformers.")
        sides.setdefault(match["module"], {})[match["side"]] = tensors[key]
    if not sides or any(len(found) != 2 for found in sides.values()):
        raise ModelError(f"The adapter in {folder} lacks half of its weights.", "Train it again.")
    return {module: (found["A"], found["B"]) for module, found in sides.items()}


def _scaling(config: dict[str, Any], module: str, rank: int) -> float:
    """What PEFT multiplies ``B · A`` with: alpha / rank, or alpha / √rank for rsLoRA (Kalajdzievski 2023)."""
    patterns: dict[str, Any] = config.get("alpha_pattern") or {}
    found = next((value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", module)), config["lora_alpha"])
    return float(found) / (rank**0.5 if config.get("use_rslora") else rank)
