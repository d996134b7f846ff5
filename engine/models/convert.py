"""A GGUF file becomes a safetensors folder, once: llama.cpp chats with the one, PyTorch trains on the other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.load import first_line, separate_pad
from engine.paths import replace_folder

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord

LONGEST = 8192
"""Tokens a GGUF's tokenizer may be given when the file does not say."""


def trainable_folder(job: JobContext, record: ModelRecord) -> Path:
    """The transformers folder of a model; a GGUF is converted to bfloat16 safetensors the first time.

    The record is updated and the folder kept in the workspace. An adapter's folder is that of its base. Raises
    ``ModelError``; ``Stopped`` between its steps.
    """
    workspace = job.workspace
    if record.kind == "adapter":
        return trainable_folder(job, workspace.models.get(record.base))
    if record.folder and (Path(record.folder) / "config.json").is_file():
        return Path(record.folder)
    if not record.gguf or not Path(record.gguf).is_file():
        raise ModelError(f"The files of “{record.name}” are gone: {record.folder or record.gguf}.", f"Bring them back with: pull {record.source}")
    final = workspace.paths.models / f"{record.name}-safetensors"
    if not (final / "config.json").is_file():
        temporary = workspace.paths.models / f".converting-{record.name}-{job.id}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            _convert(job, Path(record.gguf), temporary)
            replace_folder(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    # Read again: a fetch or another job may have changed the record in the meantime.
    latest = workspace.models.find(record.name) or record
    size = sum(file.stat().st_size for file in final.rglob("*") if file.is_file())
    workspace.models.put(replace(latest, folder=str(final), bytes=Path(record.gguf).stat().st_size + size))
    job.changed("models", record.name)
    return final


def _convert(job: JobContext, gguf: Path, out: Path) -> None:
    """Write ``out`` from ``gguf``: about 20 s of CPU and 1 GB of memory for a 135M model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    note = f"converting {gguf.name} for PyTorch, once"
    job.progress(0, 3, "step", note)
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
        job.check()
        job.progress(1, 3, "step", note)
        # dequantize=True: without it the weights are dense all the same, but the model is marked as quantised,
        # and can neither be saved nor trained.
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True), local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"{gguf.name} can't be converted for training: {first_line(error)}", "Pull the model's safetensors repository instead."
        ) from error
    job.check()
    job.progress(2, 3, "step", note)
    _complete(model, tokenizer)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    job.progress(3, 3, "step", note)


def _complete(model: Any, tokenizer: Any) -> None:
    """Fill in what a GGUF does not say: the architecture's name, the longest input, a pad token of its own."""
    model.config.architectures = [type(model).__name__]
    if tokenizer.model_max_length > 10**9:
        tokenizer.model_max_length = getattr(model.config, "max_position_embeddings", LONGEST)
    separate_pad(tokenizer)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    for config in (model.config, model.generation_config):
        config.pad_token_id = tokenizer.pad_token_id
        config.eos_token_id = tokenizer.eos_token_id
