"""From a record to files, and from files to a model in memory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import bf16_pays, torch_device
from engine.errors import ModelError, explain
from engine.models.tensors import check_folder

if TYPE_CHECKING:
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

PAD_TOKENS = ("<|endoftext|>", "<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<unk>")
"""Tokens that may pad, best first: never the end-of-turn token, or training would mask it and never learn to stop."""


def resolve(workspace: Workspace, record: ModelRecord) -> tuple[Path, Path | None]:
    """``(folder, adapter)``: the transformers folder of a model, and the PEFT folder to put on it.

    Raises ``ModelError`` when the files are gone, or when only a GGUF is there (see ``convert.trainable_folder``);
    ``NotFound`` when an adapter's base is not in the workspace.
    """
    if record.kind != "adapter":
        return _folder(record), None
    adapter = Path(record.folder)
    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(
            f"The adapter “{record.name}” has no adapter_config.json in {adapter}.", "Train it again, or bring it back with: pull FOLDER."
        )
    return _folder(workspace.models.get(record.base)), adapter


def _folder(record: ModelRecord) -> Path:
    if not record.folder:
        raise ModelError(f"“{record.name}” is a GGUF file only.", "Training or evaluating it converts it once: train or evaluate it, then try again.")
    folder = Path(record.folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"“{record.name}” has no config.json in {folder}.", f"Its files were moved or removed: pull {record.source} again.")
    return folder


def load_causal(folder: Path, adapter: Path | None = None, dtype: str | None = None) -> tuple[Any, Any]:
    """``(model, tokenizer)`` of a causal language model, on the CPU, in ``eval`` mode.

    ``dtype`` is a torch dtype's name, such as ``float32``; ``None`` keeps the one in the files. With ``adapter`` the
    model is a ``PeftModel`` whose adapter is called ``default`` and is frozen. The pad token differs from the stop
    token. Raises ``ModelError``, for a model that sees too (``engine.models.sight`` loads it).
    """
    from transformers import AutoModelForCausalLM

    from engine.models.sight import refuse_to_train

    refuse_to_train(folder)
    model, tokenizer = _read(AutoModelForCausalLM, folder, dtype=dtype or "auto")
    _pad(model, tokenizer)
    if adapter is not None:
        model = attach(model, adapter)
    return model.eval(), tokenizer


def load_seq2seq(folder: Path, dtype: str | None = None) -> tuple[Any, Any]:
    """``(model, tokenizer)`` of an encoder-decoder, as :func:`load_causal`. Raises ``ModelError``."""
    from transformers import AutoModelForSeq2SeqLM

    model, tokenizer = _read(AutoModelForSeq2SeqLM, folder, dtype=dtype or "auto")
    return model.eval(), tokenizer


def _read(kind: Any, folder: Path, **how: Any) -> tuple[Any, Any]:
    """``(model, tokenizer)`` of a folder, by a class of transformers. Raises ``ModelError``."""
    from safetensors import SafetensorError

    check_folder(folder)
    tokenizer = load_tokenizer(folder)
    try:
        return kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, **how), tokenizer
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise cannot_load(folder, error) from error


def _pad(model: Any, tokenizer: Any) -> None:
    """Room for every token of the tokenizer, and its pad token."""
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    for config in (model.config, model.generation_config):
        config.pad_token_id = tokenizer.pad_token_id


def check_quantised(bits: str) -> None:
    """Raises ``ModelError`` where a base can't be held in 8 or 4 ``bits`` to train on it. Nothing is loaded for the question."""
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"A base of {bits} needs bitsandbytes, which is not installed.", "pip install 'bittern[quantised]', or leave --quantise out."
        )


def load_to_train(folder: Path, bits: str) -> Any:
    """A frozen causal model with linear modules of ``8bit`` (LLM.int8, arXiv 2208.07339) or ``4bit`` (NF4, QLoRA, 2305.14314), and
    everything else in float32, for an adapter to learn on. On the CPU, or on CUDA (untested). Raises ``ModelError``."""
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    check_quantised(bits)
    device = torch_device()
    if device not in ("cpu", "cuda"):
        raise ModelError(f"bitsandbytes trains on a CPU or on CUDA, and this would run on {device}.", "Leave --quantise out.")
    # It says for every matrix of every step that it computes in 16 bits.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    compute = torch.bfloat16 if bf16_pays() else torch.float32
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
    config = four if bits == "4bit" else BitsAndBytesConfig(load_in_8bit=True)
    where = {"": 0 if device == "cuda" else "cpu"}
    model, tokenizer = _read(AutoModelForCausalLM, folder, dtype=torch.float32, quantization_config=config, device_map=where)
    _pad(model, tokenizer)
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def load_quantised(folder: Path, kind: str, device: str) -> tuple[Any, Any]:
    """``(model, tokenizer)`` with linear modules of eight bits (``int8``) or four (``nf4``), by bitsandbytes on CUDA.

    Untested: there is no GPU here. Raises ``ModelError``.
    """
    from importlib.util import find_spec

    if device != "cuda" or find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{kind} needs a CUDA GPU and bitsandbytes; this would run on {device}.",
            "On a CPU, a GGUF is the way: load NAME --quantise Q8_0. On a GPU: pip install bitsandbytes.",
        )
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    config = four if kind == "nf4" else BitsAndBytesConfig(load_in_8bit=True)
    model, tokenizer = _read(AutoModelForCausalLM, folder, quantization_config=config, device_map={"": 0})
    return model.eval(), tokenizer


def checked_device(asked: str) -> str:
    """``asked``, or the best device for ``auto``. Raises ``ModelError`` for one that is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch_device()
    if not there.get(asked):
        raise ModelError(f"There is no {asked} device here.", f"These are here: {', '.join(name for name, is_there in there.items() if is_there)}.")
    return asked


def attach(model: Any, adapter: Path) -> Any:
    """The model with a PEFT adapter on it. Raises ``ModelError`` when the adapter was made for another model."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"The adapter in {adapter} does not fit its model: {first_line(error)}", "Use it with the model it was trained on."
        ) from error


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, with a pad token that is not its stop token. Raises ``ModelError``."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(folder, error) from error
    separate_pad(tokenizer)
    return tokenizer


def separate_pad(tokenizer: Any) -> None:
    """Give a tokenizer a pad token that is not its stop token; a new one where it has none to spare."""
    if tokenizer.pad_token is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    vocabulary = tokenizer.get_vocab()
    spare = next((token for token in PAD_TOKENS if token in vocabulary and token != tokenizer.eos_token), None)
    if spare is not None:
        tokenizer.pad_token = spare
    else:
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})


def cannot_load(folder: Path, error: Exception) -> ModelError:
    """What went wrong while loading ``folder``, in a line, with a way out."""
    if isinstance(error, OSError) and error.errno is not None:
        return ModelError(f"{folder}: {explain(error).message}", "Check the disk, or pull the model again.")
    return ModelError(
        f"The model in {folder} can't be loaded: {first_line(error)}",
        "Check that its files are complete and in the safetensors format, or pull it again.",
    )


def first_line(error: Exception) -> str:
    """The first line of what a library said, without its paragraphs of advice."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
