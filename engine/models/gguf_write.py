"""A transformers folder of the LLaMA family as a GGUF file for llama.cpp, through the ``gguf`` library.

What llama.cpp's convert_hf_to_gguf.py does (``LlamaModel``, ``Qwen2Model``): names by the library's own map, the rows of
queries and keys in the order that llama.cpp rotates them, the tokenizer and the chat template inside. One tensor is in
memory at a time.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.models.tensors import Tensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

Quantisation = Literal["F32", "F16", "Q8_0", "Q4_0"]
FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
"""``model_type`` of transformers -> architecture of llama.cpp."""
ROTATED = ("llama",)
"""Architectures whose queries and keys llama.cpp rotates in pairs of neighbours, where transformers pairs halves."""
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5


def write_gguf(folder: Path, out: Path, quantisation: Quantisation = "F16", step: Callable[[int, int], object] = max) -> None:
    """Write ``out`` at once, or not at all. ``step(done, total)`` is called before each tensor and may raise to stop.

    Raises ``ModelError`` for a family or a tokenizer that can't be written, and for damaged files.
    """
    import gguf

    config = _json(folder / "config.json")
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        raise ModelError(f"A {config.get('model_type')} model can't be written as GGUF.", f"These can: {', '.join(FAMILIES)}.")
    tensors = Tensors(folder)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    writer = gguf.GGUFWriter(temporary, family)
    try:
        _describe(writer, config, folder, quantisation)
        _vocabulary(writer, folder, int(config["vocab_size"]))
        _weights(writer, tensors, config, family, quantisation, step)
        writer.close()
        temporary.replace(out)
    except KeyError as error:
        raise ModelError(f"The files in {folder} lack {error}.", "Bring the model again.") from None
    finally:
        temporary.unlink(missing_ok=True)


def rotated(weights: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of a query or key projection in llama.cpp's order: ``[outputs, …]``, ``heads`` that it has."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    swapped: np.ndarray[Any, Any] = halves.swapaxes(1, 2).reshape(weights.shape)
    return swapped


def _describe(writer: Any, config: dict[str, Any], folder: Path, quantisation: str) -> None:
    import gguf

    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ModelError(f"The model's positions are scaled ({kind}), which is not written yet.", "Pull the model's own GGUF file instead.")
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    size = int(config.get("head_dim") or width // heads)
    writer.add_name(str(config.get("_name_or_path") or folder.name))
    writer.add_context_length(int(config.get("max_position_embeddings") or 2048))
    writer.add_embedding_length(width)
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    writer.add_layer_norm_rms_eps(float(config.get("rms_norm_eps", 1e-6)))
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_file_type(
        int(getattr(gguf.LlamaFileType, {"F32": "ALL_F32", "F16": "MOSTLY_F16", "Q8_0": "MOSTLY_Q8_0", "Q4_0": "MOSTLY_Q4_0"}[quantisation]))
    )


def _vocabulary(writer: Any, folder: Path, size: int) -> None:
    """A byte-level BPE tokenizer. Raises ``ModelError`` for another kind."""
    tokenizer, settings = _json(folder / "tokenizer.json"), _json(folder / "tokenizer_config.json")
    model = tokenizer["model"]
    pre = _splitter(tokenizer)
    if model.get("type") != "BPE" or not pre:
        raise ModelError(
            f"The tokenizer of {folder.name} is not byte-level BPE: it can't be written as GGUF.", "Pull the model's own GGUF file instead."
        )
    tokens = {int(number): str(token) for token, number in model["vocab"].items()}
    kinds = dict.fromkeys(tokens, NORMAL)
    for added in tokenizer.get("added_tokens", []):
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = CONTROL if added.get("special") else USER_DEFINED
    if max(tokens, default=0) >= size:
        raise ModelError(f"The tokenizer of {folder.name} has more tokens than the model has embeddings.", "Train or save the model again.")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([kinds.get(number, UNUSED) for number in range(size)])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", [])]
    # llama.cpp wants a list of merges: one of pairs that nothing makes stands for none.
    writer.add_token_merges(merges or ["ĠĠ ĠĠ"])
    numbers = {token: number for number, token in tokens.items()}
    for name, add in (("bos_token", writer.add_bos_token_id), ("eos_token", writer.add_eos_token_id), ("unk_token", writer.add_unk_token_id), ("pad_token", writer.add_pad_token_id)):  # fmt: skip
        value = settings.get(name)
        token = value.get("content") if isinstance(value, dict) else value
        if token in numbers:
            add(numbers[token])
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))
    file = folder / "chat_template.jinja"
    template = file.read_text("utf-8") if file.is_file() else settings.get("chat_template")
    if isinstance(template, str):
        writer.add_chat_template(template)


def _splitter(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for how the tokenizer splits text before BPE, or an empty string for one that it has no name for."""
    found = tokenizer.get("pre_tokenizer") or {}
    parts = found.get("pretokenizers", [found]) if isinstance(found, dict) else []
    if not any(part.get("type") == "ByteLevel" for part in parts):
        return ""
    if any(part.get("type") == "Digits" and part.get("individual_digits") for part in parts):
        return "smollm"
    patterns = [str(part.get("pattern", {}).get("Regex", "")) for part in parts if part.get("type") == "Split"]
    if not patterns:
        return "gpt-2"
    return "llama-bpe" if r"\p{N}{1,3}" in patterns[0] else "qwen2" if r"|\p{N}|" in patterns[0] else ""


def _weights(writer: Any, tensors: Tensors, config: dict[str, Any], family: str, quantisation: str, step: Callable[[int, int], object]) -> None:
    import gguf
    import numpy as np

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family.upper()], int(config["num_hidden_layers"]))
    heads = int(config["num_attention_heads"])
    keys = int(config.get("num_key_value_heads") or heads)
    tied = bool(config.get("tie_word_embeddings", False))
    plan: list[tuple[str, Any]] = []
    for name in tensors.names():
        if name.endswith("rotary_emb.inv_freq") or (tied and name == "lm_head.weight"):
            continue
        new = names.get_name(name, (".weight", ".bias"))
        if new is None:
            raise ModelError(f"The weights “{name}” have no place in a GGUF of a {family} model.", "Pull the model's own GGUF file instead.")
        shape = tensors.shape(name)
        kind = gguf.GGMLQuantizationType[_kind(new, shape, quantisation)]
        packed = kind.name.startswith("Q")
        size = gguf.quants.quant_shape_to_byte_shape(shape, kind) if packed else shape
        number = np.dtype(np.uint8 if packed else np.float32 if kind.name == "F32" else np.float16)
        writer.add_tensor_info(new, size, number, int(np.prod(size)) * number.itemsize, kind)
        plan.append((name, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (name, kind) in enumerate(plan):
        step(done, len(plan))
        data = tensors[name]
        if family in ROTATED and (".q_proj." in name or ".k_proj." in name):
            data = rotated(data, heads if ".q_proj." in name else keys)
        writer.write_tensor_data(np.ascontiguousarray(gguf.quants.quantize(data, kind)))
    step(len(plan), len(plan))


def _kind(name: str, shape: tuple[int, ...], quantisation: str) -> str:
    """The type of one tensor: vectors stay float32; embeddings and the head suffer most from four bits, and get eight."""
    if len(shape) < 2:
        return "F32"
    if quantisation.startswith("Q") and shape[-1] % 32:
        return "F16"
    return "Q8_0" if quantisation == "Q4_0" and name.startswith(("token_embd", "output")) else quantisation


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.", "Bring the model again: its files are damaged.") from None
    return found if isinstance(found, dict) else {}
