"""Continued pretraining on plain texts: every token carries loss, and texts fill blocks of one length.

The texts stand one behind another, each with the stop token at its end (and the token that begins a text, where the
tokenizer puts one), and are cut into blocks of ``max_length`` tokens: nothing is left out and nothing but the last block
is padded. A block begins with the token that the one before it ended with, so that every token but the very first is
foretold once. Attention crosses from one text to the next within a block, as in pretraining itself (GPT-3, Brown et al.
2020, appendix B): the stop token tells them apart.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.data.shape import as_text
from engine.errors import DataError
from engine.models.load import load_tokenizer
from engine.training import mask
from engine.training.checkpoints import begun
from engine.training.recipes.sft import Sft
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.spec import TrainSpec

TOGETHER = 64
"""Texts that are tokenised together."""


class Pretrain(Sft):
    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = load_tokenizer(folder)
        train, held_out = choose(record, spec)
        tokens, tally = _tokens(job, record, train, tokenizer, "training texts")
        measured, _ = _tokens(job, record, held_out, tokenizer, "held-out texts")
        rows, held = blocks(tokens, spec.max_length), blocks(measured, spec.max_length)
        if not rows or not held:
            raise DataError(f"“{spec.dataset}” has no text to learn from, or none to measure on.", f"Look at it: show {spec.dataset}")
        tally.blocks, tally.longest = len(rows), len(rows[0]["input_ids"])
        job.log(f"{tally.kept:,} texts, {tally.tokens:,} tokens, in {tally.blocks:,} blocks of {spec.max_length}: every token carries loss.")
        return Prepared(rows, held, tokenizer, {"rows": tally.kept, "blocks": tally.blocks, "tokens": tally.tokens}, tally)


def blocks(tokens: Sequence[int], length: int) -> list[dict[str, Any]]:
    """The tokens as rows of ``length``, the last one shorter; each begins with the last token of the one before it."""
    parts = [tokens[start : start + length] for start in range(0, len(tokens) - 1, length - 1)]
    return [{"input_ids": part, "labels": part} for part in parts]


def _tokens(job: JobContext, record: DatasetRecord, rows: Any, tokenizer: Any, what: str) -> tuple[array[int], Tally]:
    """The tokens of all texts, one behind another; four bytes each."""
    found, tally = array("i"), Tally(rows=len(rows))
    note = f"reading {what} as tokens"
    for start in range(0, len(rows), TOGETHER):
        job.check()
        job.progress(start, len(rows), "row", note)
        texts = [as_text(record, row) for row in rows.select(range(start, min(start + TOGETHER, len(rows))))]
        whole = [text for text in texts if text.strip()]
        tally.empty += len(texts) - len(whole)
        for row in mask.of_texts(tokenizer, whole):
            found.extend(row)
            tally.kept += 1
            tally.stopped += row[-1] == tokenizer.eos_token_id
    tally.tokens = tally.learnt = len(found)
    job.progress(len(rows), len(rows), "row", note)
    return found, tally
