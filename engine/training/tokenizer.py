"""Training a tokenizer with the ``tokenizers`` library, and what it is worth beside another."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data.shape import as_text
from engine.errors import DataError
from engine.models.tokens import Counter, counter
from engine.paths import replace_folder
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord

BATCH = 500
HELD_OUT = 2000
"""Rows at most that the figures are measured on: every tenth, which is then not learnt from."""
CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained. ``rows`` 0 means all; ``against`` is a model's name, or empty."""

    kind: str
    vocab_size: int
    column: str
    split: str
    rows: int
    lowercase: bool
    chat: bool
    special: list[str]
    against: str
    name: str


def train(job: JobContext, record: DatasetRecord, plan: Plan) -> dict[str, Any]:
    """Train, save as a transformers folder, record it, and measure. Raises ``DataError``, ``Stopped``."""
    from engine.data.rows import load_split

    data = load_split(record, plan.split)
    count = min(plan.rows or len(data), len(data))
    aside = _aside(count)
    columns = [plan.column] if plan.column else None

    def texts(numbers: Iterator[int] | range | list[int], total: int, note: str) -> Iterator[list[str]]:
        batch: list[int] = []
        for at, number in enumerate(numbers, 1):
            batch.append(number)
            if len(batch) == BATCH or at == total:
                # Stops the training, too: what an iterator raises goes through the library.
                job.check()
                job.progress(at, total, "rows", note)
                yield [text for row in data.select(batch) if (text := as_text(record, row, columns))]
                batch = []

    learnt = [number for number in range(count) if number not in aside]
    tokenizer, trainer = made(plan)
    tokenizer.train_from_iterator(texts(learnt, len(learnt), "reading"), trainer=trainer, length=len(learnt))
    job.check()
    _around(tokenizer, plan)
    if tokenizer.get_vocab_size() <= len(specials(plan)):
        raise DataError(f"{record.name}/{plan.split} has no text to learn from.", "Name another --column.")
    folder = job.workspace.paths.models / plan.name
    temporary = folder.with_name(f".{plan.name}-{job.id}")
    try:
        _save(tokenizer, plan, temporary)
        replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    trial = [text for batch in texts(sorted(aside), len(aside), "measuring") for text in batch]
    ours = Counter(plan.name, tokenizer)
    figures = [measure(one, trial) for one in (ours, *([counter(job.workspace, plan.against)] if plan.against else []))]
    for name in ("tokens_a_word", "bytes_a_token"):
        job.metric(0, name, figures[0][name])
    facts = {
        "algorithm": plan.kind, "vocabulary": ours.vocabulary, "trained_on": f"{record.name}/{plan.split}", "fingerprint": record.fingerprint,
        "rows": len(learnt), "tokens_a_word": figures[0]["tokens_a_word"], "bytes_a_token": figures[0]["bytes_a_token"], "job": job.id,
    }  # fmt: skip
    size = sum(file.stat().st_size for file in folder.iterdir())
    job.workspace.models.put(ModelRecord(plan.name, "tokenizer", f"trained on {record.name}", size, folder=str(folder), facts=facts))
    return {"tokenizer": plan.name, "folder": str(folder), **facts, "figures": figures}


def made(plan: Plan) -> tuple[Any, Any]:
    """An untrained tokenizer of the kind, and what trains it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = specials(plan)
    common: dict[str, Any] = {"vocab_size": plan.vocab_size, "special_tokens": special, "show_progress": False}
    lower: list[Any] = [normalizers.Lowercase()] if plan.lowercase else []
    if plan.kind == "bpe":
        found = Tokenizer(models.BPE())
        found.pre_tokenizer, found.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(**common, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    elif plan.kind == "wordpiece":
        found = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
        found.pre_tokenizer, found.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        lower = [normalizers.NFKC(), *lower]
        trainer = trainers.WordPieceTrainer(**common)
    else:
        found = Tokenizer(models.Unigram())
        found.pre_tokenizer, found.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        lower = [normalizers.NFKC(), *lower]
        trainer = trainers.UnigramTrainer(**common, unk_token="<unk>")  # noqa: S106
    if lower:
        found.normalizer = normalizers.Sequence(lower)
    return found, trainer


def specials(plan: Plan) -> list[str]:
    """The special tokens, in the order of their numbers."""
    of_kind = {
        "bpe": ["<|endoftext|>", "<|pad|>"],
        "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        "unigram": ["<unk>", "<s>", "</s>", "<pad>"],
    }
    return list(dict.fromkeys([*of_kind[plan.kind], *(["<|im_start|>", "<|im_end|>"] if plan.chat else []), *plan.special]))


def measure(one: Counter, texts: list[str]) -> dict[str, Any]:
    """Tokens a word (fertility) and UTF-8 bytes a token over ``texts``; words stand between spaces."""
    tokens = sum(one.count(texts))
    words, size = sum(len(text.split()) for text in texts), sum(len(text.encode()) for text in texts)
    return {
        "tokenizer": one.name, "vocabulary": one.vocabulary, "texts": len(texts), "tokens": tokens,
        "tokens_a_word": round(tokens / max(1, words), 4), "bytes_a_token": round(size / max(1, tokens), 4),
    }  # fmt: skip


def _aside(count: int) -> set[int]:
    """The rows that are measured on; of fewer than ten, all are learnt from and measured on none but the last."""
    return set(range(9, count, max(10, count // HELD_OUT))) if count >= 10 else {count - 1} if count > 1 else set()


def _around(tokenizer: Any, plan: Plan) -> None:
    """What stands around a text: an encoder's tokenizer marks its beginning and end."""
    if plan.kind == "wordpiece":
        from tokenizers import processors

        ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)


def _save(tokenizer: Any, plan: Plan, folder: Path) -> None:
    """As transformers saves one: tokenizer.json, tokenizer_config.json, and the chat template."""
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles: dict[str, Any] = {
        "bpe": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"},
        "wordpiece": {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"},
        "unigram": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    }[plan.kind]
    if plan.chat:
        roles |= {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
        (folder / "chat_template.jinja").write_text(CHATML, "utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "model_max_length": 10**30, **roles}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), "utf-8")
