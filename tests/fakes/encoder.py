"""A tiny sentence encoder made from its config, saved as sentence-transformers saves one: real, only small."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = ["heron", "reed", "pond", "power", "water", "sky", "blue", "fish", "boat", "rain", "stone", "moss", "wind", "cloud", "frog", "nest"]


def tokenizer(folder: Path) -> None:
    """A word piece tokenizer that knows letters, a few words and a few Chinese characters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), *"天空是蓝色的水", "the", "number", *WORDS]
    backend = Tokenizer(models.WordPiece(vocab={piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=64
    ).save_pretrained(folder)  # fmt: skip


def encoder(folder: Path, *, pooling: str = "mean_tokens") -> Path:
    """A two-layer BERT of 32 dimensions with mean or ``cls_token`` pooling."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(3)
    tokenizer(folder)
    config = BertConfig(
        vocab_size=140, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [{"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"} for n, (path, kind) in enumerate(kinds)]
    (folder / "1_Pooling").mkdir()
    modes = {f"pooling_mode_{name}": name == pooling for name in ("cls_token", "mean_tokens", "max_tokens")}
    for file, content in {
        "modules.json": modules, "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, **modes},
    }.items():  # fmt: skip
        (folder / file).write_text(json.dumps(content), "utf-8")
    return folder


def reranker(folder: Path, classes: int = 1) -> Path:
    """A cross-encoder of the same size, with weights that are random but always the same."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    tokenizer(folder)
    config = BertConfig(
        vocab_size=140, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64,
        num_labels=classes, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
