"""A cross-encoder: it reads a query and a passage together, and says how well one answers the other."""
# ruff: noqa: ARG002 -- the signatures are those of the Protocol

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from engine.data import pairs
from engine.data.lineage.pinned import dataset_of
from engine.errors import DataError
from engine.models.load import load_tokenizer
from engine.training.checkpoints import begun
from engine.training.methods import adapt
from engine.training.negatives import hard
from engine.training.recipes import Recipe
from engine.training.recipes.heads import headed
from engine.training.recipes.table import NEGATIVES
from engine.training.rows import Prepared, choose
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Trainer, TrainingArguments

    from engine.data.pairs import Pair
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.training.spec import TrainSpec


class Rerank(Recipe):
    """A prepared row is a query with its passages: ``pairs``, the tokens of each (dictionaries of a tokenizer), and
    ``labels``, 1 for what belongs to the query and 0 for what does not, or the score that was given."""

    def prepare(self, job: JobContext, spec: TrainSpec, folder: Path) -> Prepared:
        record = dataset_of(job, spec.dataset, kept=begun(job))
        tokenizer = load_tokenizer(folder)
        train, held_out = choose(record, spec)
        tally = Tally(rows=len(train))
        taken, held = _taken(job, record, train, tally), _taken(job, record, held_out, Tally())
        if not taken or not held:
            raise DataError(f"No row of “{spec.dataset}” has the texts that belong together.", f"Look at it: show {spec.dataset}")
        kind = "scores" if "score" in record.columns else "given" if record.shape == "triplet" else "pairs"
        lists, learnt = _lists(job, kind, taken, held), len(taken)
        least, most = (min(values), max(values)) if (values := [pair.score for pair in taken if pair.score is not None]) else (0.0, 1.0)
        if most == least:
            raise DataError(f"Every row of “{spec.dataset}” has the score {most:g}.", "It takes pairs that belong together, and others that do not.")
        scale = (0.0, 1.0) if least >= 0 and most <= 1 else (least, most)
        rows = [_encoded(job, number, one, tokenizer, spec.max_length, scale) for number, one in enumerate(lists)]
        for row in rows[:learnt]:
            sizes = [len(pair["input_ids"]) for pair in row["pairs"]]
            tally.kept, tally.tokens, tally.longest = tally.kept + 1, tally.tokens + sum(sizes), max(tally.longest, *sizes)
            tally.cut += row.pop("cut")
        if said := tally.says(spec.max_length):
            job.log(f"training rows: {said}.", "warning")
        return Prepared(rows[:learnt], rows[learnt:], tokenizer, {"learns_from": kind}, tally)

    def model(self, spec: TrainSpec, folder: Path, prepared: Prepared) -> Any:
        from transformers import AutoModelForSequenceClassification

        model = headed(AutoModelForSequenceClassification, spec, folder, prepared.tokenizer, num_labels=1)
        return adapt(model, spec, "SEQ_CLS")

    def arguments(self, spec: TrainSpec) -> dict[str, Any]:
        return {}

    def length(self, row: dict[str, Any]) -> int:
        return max(len(pair["input_ids"]) for pair in row["pairs"])

    def collate(self, prepared: Prepared) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
        from engine.training.judge import Judged

        return Judged(prepared.tokenizer)

    def trainer(self, spec: TrainSpec, prepared: Prepared, model: Any, arguments: TrainingArguments) -> Trainer:
        from engine.training.judge import Judge, ranked

        kind = prepared.facts["learns_from"]
        return Judge(
            weight=float(max(1, len(prepared.train[0]["pairs"]) - 1)) if kind != "scores" else 1.0,
            **{**self.parts(prepared, model, arguments), "compute_metrics": partial(ranked, kind)},
        )

    def save(self, model: Any, prepared: Prepared, folder: Path) -> None:
        # What is saved stands on its own: search reads it as any other cross-encoder.
        whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        whole.save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)

    def kind(self, spec: TrainSpec) -> str:
        return "reranker"


def _taken(job: JobContext, record: DatasetRecord, rows: Any, tally: Tally) -> list[Pair]:
    found = []
    for number, row in enumerate(rows):
        if number % 256 == 0:
            job.check()
        if (pair := pairs.of_row(record, row)) is None:
            tally.empty += 1
        else:
            found.append(pair)
    return found


List = tuple[str, list[tuple[str, float]]]
"""A query, and passages with their labels."""


def _lists(job: JobContext, kind: str, taken: list[Pair], held: list[Pair]) -> list[List]:
    """The rows to learn from and then those held out. Where they bring no negatives these are found among all positives."""
    every = [*taken, *held]
    if kind == "scores":
        return [(pair.anchor, [(pair.positive, float(pair.score or 0.0))]) for pair in every]
    if kind == "given":
        return [(pair.anchor, [(pair.positive, 1.0), (pair.negative, 0.0)]) for pair in every]
    right: dict[str, set[str]] = {}
    for pair in every:
        right.setdefault(pair.anchor, set()).add(pair.positive)
    passages = list(dict.fromkeys(pair.positive for pair in every))
    if len(passages) < 2:
        raise DataError("Every row has the same passage: there is nothing to tell apart.", "Bring negatives: --negative, or a --score.")
    wrong = hard(job, [pair.anchor for pair in every], passages, right, NEGATIVES)
    return [(pair.anchor, [(pair.positive, 1.0), *((passages[at], 0.0) for at in others)]) for pair, others in zip(every, wrong, strict=True)]


def _encoded(job: JobContext, number: int, row: List, tokenizer: Any, max_length: int, scale: tuple[float, float]) -> dict[str, Any]:
    if number % 64 == 0:
        job.check()
    query, passages = row
    tokens = tokenizer([query] * len(passages), [text for text, _ in passages], truncation=True, max_length=max_length)
    names = [name for name in ("input_ids", "token_type_ids") if name in tokens]
    cut = any(one.overflowing for one in tokens.encodings or [])
    return {
        "pairs": [{name: tokens[name][at] for name in names} for at in range(len(passages))], "cut": cut,
        "labels": [(label - scale[0]) / (scale[1] - scale[0]) for _, label in passages],
    }  # fmt: skip
