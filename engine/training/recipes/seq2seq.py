"""An encoder-decoder (T5, BART and their like): one text in, another out."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.lineage.pinned import dataset_of
from engine.data.shape import as_messages
from engine.errors import DataError
from engine.models.load import load_seq2seq, load_tokenizer
from engine.models.source import source
from engine.training.checkpoints import begun
from engine.training.methods import adapt
from engine.training.recipes import Recipe
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.spec import TrainSpec


class Seq2Seq(Recipe):
    """A prepared row has ``input_ids``, what the encoder reads, and ``labels``, what the decoder should write, its stop
    token included: loss is taken on all of that."""

    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = load_tokenizer(folder)
        train, held_out = choose(record, spec)
        rows, tally = _encode(job, record, train, tokenizer, spec.max_length, "training rows")
        measured, _ = _encode(job, record, held_out, tokenizer, spec.max_length, "held-out rows")
        if not rows or not measured:
            raise DataError(f"No row of “{spec.dataset}” fits {spec.max_length} tokens with its answer.", f"Try --max-length {spec.max_length * 2}.")
        return Prepared(rows, measured, tokenizer, tally=tally)

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        model, _ = load_seq2seq(folder, dtype="float32")
        return adapt(model, spec, "SEQ_2_SEQ_LM")

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {"prediction_loss_only": True}

    def length(self, row: dict[str, Any]) -> int:
        return len(row["input_ids"]) + len(row["labels"])

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        from engine.training.collate import PadBoth

        return PadBoth(prepared.tokenizer.pad_token_id)

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        whole.save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)

    def kind(self, spec: TrainSpec) -> str:
        return "seq2seq"


def _encode(job: JobContext, record: DatasetRecord, rows: Any, tokenizer: Any, max_length: int, what: str) -> tuple[list[dict[str, Any]], Tally]:
    encoded: list[dict[str, Any]] = []
    tally = Tally(rows=len(rows))
    note = f"reading {what} as tokens"
    for at, row in enumerate(rows):
        if at % 64 == 0:
            job.check()
            job.progress(at, len(rows), "row", note)
        try:
            messages = as_messages(record, row)
        except DataError:  # This row has no answer; that no row has one is said below.
            tally.empty += 1
            continue
        read, answer = tokens_of(tokenizer, messages)
        if len(answer) > max_length:
            tally.long += 1
            continue
        cut, read = max(0, len(read) - max_length), _cut(tokenizer, read, max_length)
        tally.kept, tally.cut, tally.lost = tally.kept + 1, tally.cut + (cut > 0), tally.lost + (cut > len(read))
        tally.stopped += answer[-1] == tokenizer.eos_token_id
        tally.tokens, tally.learnt = tally.tokens + len(read) + len(answer), tally.learnt + len(answer)
        tally.longest = max(tally.longest, len(read), len(answer))
        encoded.append({"input_ids": read, "labels": answer})
    job.progress(len(rows), len(rows), "row", note)
    if said := tally.says(max_length):
        job.log(f"{what}: {said}.", "warning")
    return encoded, tally


def tokens_of(tokenizer: Any, messages: Sequence[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """What is read and what should be written, each with the tokens that the tokenizer puts around a text of its kind."""
    read = tokenizer(source(messages[:-1]))["input_ids"]
    answer = tokenizer(text_target=messages[-1]["content"])["input_ids"]
    stop = tokenizer.eos_token_id
    return read, answer if stop is None or answer[-1:] == [stop] else [*answer, stop]


def _cut(tokenizer: Any, read: list[int], longest: int) -> list[int]:
    """The end of a long text is left out, but for the stop token that the encoder expects there."""
    if len(read) <= longest:
        return read
    return [*read[: longest - 1], tokenizer.eos_token_id] if read[-1] == tokenizer.eos_token_id else read[:longest]
