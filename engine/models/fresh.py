"""A new model with random weights: the layout of a family, in a size, with the vocabulary of a tokenizer that is here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.models.shapes import shape_of
from engine.paths import replace_folder

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord

Family = Literal["llama", "gpt2", "bloom", "falcon", "bert", "t5"]
Size = Literal["tiny", "small", "medium"]

SIZES: dict[Size, tuple[int, int, int]] = {"tiny": (4, 128, 512), "small": (8, 256, 1024), "medium": (12, 512, 2048)}
"""Layers, width, and the longest text in tokens: 0.8, 6 and 38 million parameters beside the vocabulary's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """``width`` is a multiple of 64; ``context`` in tokens."""

    family: Family
    layers: int
    width: int
    context: int

    def config(self, vocabulary: int, **ends: int | None) -> dict[str, Any]:
        """What a ``config.json`` of this layout says. ``ends``: ``bos_token_id``, ``eos_token_id``, ``pad_token_id``."""
        heads = self.width // (32 if self.width < 512 else 64)
        common = {"model_type": self.family, "vocab_size": vocabulary, "dtype": "float32", **ends}
        plain = {"hidden_size": self.width, "num_hidden_layers": self.layers, "num_attention_heads": heads, "max_position_embeddings": self.context}
        if self.family == "llama":
            # Gated: three matrices instead of two, so two thirds of the usual four widths.
            inner = -(-self.width * 8 // 3 // 32) * 32
            return {**common, **plain, "intermediate_size": inner, "num_key_value_heads": heads, "tie_word_embeddings": True,
                    "architectures": ["LlamaForCausalLM"]}  # fmt: skip
        if self.family == "gpt2":
            sizes = {"n_embd": self.width, "n_layer": self.layers, "n_head": heads, "n_positions": self.context}
            return {**common, **sizes, "architectures": ["GPT2LMHeadModel"]}
        if self.family == "bloom":
            sizes = {"hidden_size": self.width, "n_layer": self.layers, "n_head": heads, "seq_length": self.context}
            return {**common, **sizes, "architectures": ["BloomForCausalLM"]}
        if self.family == "falcon":
            return {**common, **plain, "architectures": ["FalconForCausalLM"]}
        if self.family == "t5":
            # The decoder begins with the pad token, as T5's own does.
            sizes = {
                "d_model": self.width,
                "num_layers": self.layers,
                "num_decoder_layers": self.layers,
                "num_heads": heads,
                "n_positions": self.context,
            }
            return {**common, **sizes, "d_kv": self.width // heads, "d_ff": 4 * self.width, "feed_forward_proj": "relu",
                    "decoder_start_token_id": ends.get("pad_token_id"), "architectures": ["T5ForConditionalGeneration"]}  # fmt: skip
        return {**common, **plain, "intermediate_size": 4 * self.width, "architectures": ["BertForMaskedLM"]}

    def parameters(self, vocabulary: int) -> int:
        """How many weights it will have, counted from the config alone."""
        return shape_of(self.config(vocabulary)).parameters


def make(job: JobContext, tokenizer: ModelRecord, layout: Layout, name: str, seed: int) -> ModelRecord:
    """Draw the weights, save them with the tokenizer as a transformers folder, and record it.

    Raises ``ModelError`` for a tokenizer that the family can't be built on.
    """
    from engine.models.local import from_folder

    final = job.workspace.paths.models / name
    temporary = job.workspace.paths.models / f".new-{name}-{job.id}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        parameters = _write(job, tokenizer_folder(job, tokenizer), layout, seed, temporary)
        replace_folder(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    record = from_folder(final, name, f"new: {layout.family} with the vocabulary of {tokenizer.name}")
    facts = {"parameters": f"{parameters / 1e6:,.1f}M", "tokenizer": tokenizer.name, "seed": seed, "untrained": True}
    record = replace(record, facts={**record.facts, **facts, "context": layout.context})
    job.workspace.models.put(record)
    job.changed("models", name)
    return record


def tokenizer_folder(job: JobContext, tokenizer: ModelRecord) -> Path:
    """Where the tokenizer lies as transformers reads it: a model's own is in its folder, made from its GGUF where need be."""
    from engine.models.convert import trainable_folder

    if tokenizer.kind == "tokenizer":
        return Path(tokenizer.folder)
    return trainable_folder(job, tokenizer)


def _write(job: JobContext, source: Path, layout: Layout, seed: int, out: Path) -> int:
    """Write weights, config and tokenizer into ``out``; returns how many weights there are."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, set_seed

    from engine.models.load import load_tokenizer

    job.progress(0, 2, "step", "reading the tokenizer")
    tokenizer = load_tokenizer(source)
    check(layout.family, tokenizer.eos_token, tokenizer.cls_token, source.name)
    tokenizer.model_max_length = layout.context
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    values = layout.config(len(tokenizer), **ends)
    job.check()
    job.progress(1, 2, "step", "drawing the weights")
    set_seed(seed)
    kind = {"bert": AutoModelForMaskedLM, "t5": AutoModelForSeq2SeqLM}.get(layout.family, AutoModelForCausalLM)
    made = kind.from_config(AutoConfig.for_model(**values))
    job.check()
    made.save_pretrained(out)
    tokenizer.save_pretrained(out)
    job.progress(2, 2, "step", "written")
    return int(made.num_parameters())


def check(family: str, stop: object, first: object, name: str) -> None:
    """Whether the family can be built on a tokenizer with this stop token and this token before a text. Raises ``ModelError``."""
    if family == "bert":
        if not first:
            raise ModelError(
                f"The tokenizer {name} has no token that stands before a text, which BERT reads.",
                "Train one with: train-tokenizer DATASET --kind wordpiece, or use --like llama.",
            )
    elif not stop:
        raise ModelError(
            f"The tokenizer {name} has no stop token: a {family} model would never end an answer.",
            "Train one with: train-tokenizer DATASET --kind bpe, or use --like bert.",
        )
