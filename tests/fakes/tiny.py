"""Tiny models made from their configs, with tokenizers of their own: real, only small."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PretrainedConfig

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


def preferences(count: int) -> str:
    """JSON lines with a prompt, the answer that was chosen, and one that was rejected."""
    rows = [json.loads(line) for line in instruction_rows(count).splitlines()]
    return "".join(json.dumps({"prompt": row["instruction"], "chosen": row["output"], "rejected": "I would rather not say."}) + "\n" for row in rows)


def texts(count: int) -> str:
    """JSON lines of plain texts of many lengths, an empty one among them."""
    return "".join(
        json.dumps({"text": "" if n == 3 else f"Note {n}. " + "The heron stands in the reeds. " * (n % 5 + 1)}) + "\n" for n in range(count)
    )


def marked_answers(count: int) -> str:
    """JSON lines with a prompt, an answer, and whether it is good; two of three are."""
    rows = [json.loads(line) for line in instruction_rows(count).splitlines()]
    return "".join(
        json.dumps({"prompt": row["instruction"], "completion": row["output"] if n % 3 else "I would rather not say.", "label": bool(n % 3)}) + "\n"
        for n, row in enumerate(rows)
    )


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


def base_model(folder: Path, family: str) -> Path:
    """A two-layer GPT-2, LLaMA, BLOOM or Falcon as their makers leave a base model: no chat template."""
    import torch
    from transformers import AutoModelForCausalLM

    sizes, vocabulary = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}, _base_tokenizer(folder, family)
    places, ends = {"max_position_embeddings": 128}, {"bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    config = _config(family, vocab_size=vocabulary, **sizes, **ends, **(places if family in ("gpt2", "llama") else {}))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    """A two-layer BERT for masked words, with a WordPiece tokenizer of whole words and letters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heron", "reed", "pond", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = _config(
        "bert", vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return folder


def _config(family: str, **values: object) -> PretrainedConfig:
    from transformers import AutoConfig

    if family == "llama":
        values |= {"intermediate_size": 64, "num_key_value_heads": 2}
    return AutoConfig.for_model(family, **values)


def _base_tokenizer(folder: Path, family: str) -> int:
    """GPT-2's kind (bytes), or LLaMA's (pieces of words behind ▁, a beginning of the text); returns the vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    if family == "llama":
        pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnopqrstuvwxyz"]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        )
        backend.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
        ends = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    else:
        pieces = ["<pad>", "<s>", "<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
        backend = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[]))
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        ends = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=128, **ends).save_pretrained(folder)
    return len(pieces)


def with_tools(folder: Path) -> Path:
    """Give a tiny chat model a template that tells of tools, as Hermes and Qwen do."""
    told = "{% if tools %}{{'<|im_start|>system\\nTools:\\n' + (tools | tojson) + '<|im_end|>\\n'}}{% endif %}"
    (folder / "chat_template.jinja").write_text(told + TEMPLATE, encoding="utf-8")
    return folder
