"""Tiny models made from their configs, with tokenizers of their own: real, only small."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


def instruction_rows(count: int) -> str:
    """JSON lines of an instruction set; no two rows are the same."""
    rows = [
        {"instruction": f"Say the word {word} {n % 7 + 1} times ({n})", "output": " ".join([word] * (n % 7 + 1))}
        for n in range(count)
        for word in [("heron", "reed", "pond")[n % 3]]
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def chat_model(folder: Path, *, seed: int = 0) -> Path:
    """A two-layer LLaMA with a byte-level tokenizer and a ChatML template, saved as a transformers folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {piece: number for number, piece in enumerate([*special, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=512
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def talkative(folder: Path) -> Path:
    """Make the tiny model's random weights larger, so that what it says changes from token to token, in plain letters."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights = {name: weight * (6 if weight.dim() == 2 else 1) for name, weight in weights.items()}
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    for piece, number in vocabulary.items():
        if not (len(piece) == 1 and piece.isascii()):
            weights["model.embed_tokens.weight"][number] *= 0.01
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder
