"""Small models and rows for what learns from texts that belong together, and for an encoder-decoder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.encoder import WORDS
from tests.fakes.encoder import tokenizer as letters

if TYPE_CHECKING:
    from pathlib import Path

COUPLES = [*zip(WORDS[::2], WORDS[1::2], strict=True)]
"""Words that belong together for no reason that a model could know before it has learnt it."""


def pair_rows(count: int) -> str:
    """JSON lines: a question with one word of a couple, and a passage with the other."""
    rows = [
        {"query": f"the {first} number {n}", "passage": f"{'the ' * (n % 3)}{second} is {n * 7}", "no": n}
        for n in range(count)
        for first, second in [COUPLES[n % len(COUPLES)]]
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def encoder_decoder(folder: Path, family: str = "t5") -> Path:
    """A T5 or BART of two layers a side, with a tokenizer of letters and words that ends a text with its stop token."""
    import torch
    from tokenizers import processors
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    letters(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 3)])
    tokenizer.eos_token = "[SEP]"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    ends = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0, "vocab_size": 140}
    sizes = (
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
        if family == "t5"
        else {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64,
              "decoder_ffn_dim": 64, "max_position_embeddings": 64, "bos_token_id": 2, "forced_eos_token_id": None}
    )  # fmt: skip
    AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **ends, **sizes)).save_pretrained(folder)
    return folder


def echo_rows(count: int) -> str:
    """JSON lines of an instruction set: say one word, as the other of its couple."""
    rows = [{"instruction": f"say {first} {n}", "output": second} for n in range(count) for first, second in [COUPLES[n % len(COUPLES)]]]
    return "".join(json.dumps(row) + "\n" for row in rows)
