"""A model that is here with another vocabulary: its layers stay, and the vectors of the new tokens come from those of the old.

A token that both vocabularies know keeps its vector; a new one begins as the mean of the pieces that the old tokenizer cuts
its text into (fast vocabulary transfer, Gee et al. 2022, arXiv 2402.09977).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.models.fresh import check, tokenizer_folder
from engine.models.tokens import bytes_of
from engine.paths import replace_folder

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord

ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")


def exchange(job: JobContext, base: ModelRecord, tokenizer: ModelRecord, name: str) -> ModelRecord:
    """Write ``base`` with the vocabulary of ``tokenizer`` as a transformers folder, and record it as ``name``.

    Raises ``ModelError`` for a tokenizer without a stop token, and for a model that can't be loaded to be trained.
    """
    from engine.models.convert import trainable_folder
    from engine.models.local import from_folder

    final = job.workspace.paths.models / name
    temporary = job.workspace.paths.models / f".new-{name}-{job.id}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        told = _write(job, trainable_folder(job, base), tokenizer_folder(job, tokenizer), temporary)
        replace_folder(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    record = from_folder(final, name, f"{base.name} with the vocabulary of {tokenizer.name}")
    record = replace(record, base=base.name, facts={**record.facts, "tokenizer": tokenizer.name, **told})
    job.workspace.models.put(record)
    job.changed("models", name)
    return record


def _write(job: JobContext, folder: Path, vocabulary: Path, out: Path) -> dict[str, Any]:
    """Write the model into ``out``; returns what its record says of the tokens."""
    from engine.models.load import load_causal, load_tokenizer

    job.progress(0, 3, "step", "reading the model and both tokenizers")
    model, old = load_causal(folder)
    new = load_tokenizer(vocabulary)
    check(model.config.model_type, new.eos_token, new.cls_token, vocabulary.name)
    job.check()
    job.progress(1, 3, "step", "cutting the new tokens into old ones")
    origin = origins(new, old)
    job.check()
    job.progress(2, 3, "step", "writing the weights")
    put(model, origin)
    new.model_max_length = old.model_max_length
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id, config.pad_token_id = new.bos_token_id, new.eos_token_id, new.pad_token_id
    model.save_pretrained(out)
    new.save_pretrained(out)
    job.progress(3, 3, "step", "written")
    kept = sum(len(pieces) == 1 for pieces in origin)
    return {"parameters": f"{model.num_parameters() / 1e6:,.1f}M", "vocabulary": len(origin), "tokens_kept": kept, "new_vocabulary": True}


def origins(new: Any, old: Any) -> list[list[int]]:
    """For each token of ``new`` (a fast tokenizer), the tokens of ``old`` that its vector is the mean of; none where nothing
    is known of it. One that both have, or that has the same part (the stop token's, say), comes from that one."""
    known, size = old.get_vocab(), max(new.get_vocab().values()) + 1
    pieces = [piece or "" for piece in new.convert_ids_to_tokens(list(range(size)))]  # a number may be nobody's
    found = [[known[piece]] if piece in known else [] for piece in pieces]
    for role in ROLES:
        ours, theirs = getattr(new, f"{role}_id"), getattr(old, f"{role}_id")
        if ours is not None and theirs is not None and not found[ours]:
            found[ours] = [theirs]
    special = set(new.all_special_ids)
    open_ = [number for number, origin in enumerate(found) if not origin and number not in special]
    texts = [_text(pieces[number], byte_level="ByteLevel" in repr(new.backend_tokenizer.decoder)) for number in open_]
    for number, cut in zip(open_, old(texts, add_special_tokens=False)["input_ids"] if texts else [], strict=True):
        found[number] = list(cut)
    return found


def _text(piece: str, *, byte_level: bool) -> str:
    """What a piece of a vocabulary stands for; empty for a part of a character."""
    if raw := bytes_of(piece, byte_level=byte_level):
        return raw.decode("utf-8", "ignore")
    return piece.replace("▁", " ")


def put(model: Any, origin: list[list[int]]) -> None:
    """Give ``model`` as many tokens as ``origin`` has, their vectors (and those that score them, where they are others)
    the means of the old ones; the mean of all where there is none."""
    import torch

    def tables() -> list[Any]:
        embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings()
        others = [] if head is None else [each for each in (head.weight, head.bias) if each is not None and each is not embeddings]
        return [embeddings, *others]

    with torch.no_grad():
        drawn = []
        for table in tables():
            everything = table.float().mean(0)
            drawn.append(torch.stack([table[pieces].float().mean(0) if pieces else everything for pieces in origin]).to(table.dtype))
        model.resize_token_embeddings(len(origin), mean_resizing=False)
        for table, rows in zip(tables(), drawn, strict=True):
            table.copy_(rows)
