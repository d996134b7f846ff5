"""Rows of texts that belong together, as tokens; and how well an encoder tells them apart."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from engine.data import pairs
from engine.training.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord


class Reader:
    """``kind`` is what the rows teach: ``pairs`` (triplets too), ``scores``, or ``labels``."""

    def __init__(self, record: DatasetRecord, tokenizer: Any, folder: Path, max_length: int) -> None:
        self._record, self._tokenizer = record, tokenizer
        self.kind = "labels" if record.shape == "classification" else "scores" if "score" in record.columns else "pairs"
        given = _json(folder / "sentence_bert_config.json").get("max_seq_length")
        self._longest = min(max_length, int(given or max_length), int(min(tokenizer.model_max_length, 10**6)))
        self._max_length = max_length
        prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
        # An anchor is what is asked with, and the rest is what is found; texts that are like each other are of one kind.
        first = "query" if self.kind == "pairs" else "document"
        self._prompts = [str(prompts.get(name) or "") for name in (first, "document", "document")]
        self._groups: dict[Any, int] = {}

    def read(self, job: JobContext, rows: Any, what: str) -> tuple[list[dict[str, Any]], Tally]:
        """The rows that have what they need, and a tally of all. Raises ``Stopped``."""
        found: list[dict[str, Any]] = []
        tally = Tally(rows=len(rows))
        note = f"reading {what} as tokens"
        for start in range(0, len(rows), 256):
            job.check()
            job.progress(start, len(rows), "row", note)
            taken = [self._taken(row) for row in rows.select(range(start, min(start + 256, len(rows))))]
            whole = [one for one in taken if one is not None]
            tally.empty += len(taken) - len(whole)
            found += self._encoded(whole, tally)
        job.progress(len(rows), len(rows), "row", note)
        if said := tally.says(self._max_length):
            job.log(f"{what}: {said}.", "warning")
        return found, tally

    def _taken(self, row: dict[str, Any]) -> tuple[list[str], float | None, Any] | None:
        """``(texts, score, what its group is)`` of a row."""
        if self.kind == "labels":
            columns = self._record.columns
            text, label = str(row.get(columns["text"]) or "").strip(), row.get(columns["label"])
            return ([text], None, label) if text and label not in (None, "", -1) else None
        pair = pairs.of_row(self._record, row)
        if pair is None:
            return None
        return [pair.anchor, pair.positive, *([pair.negative] if pair.negative else [])], pair.score, pair.positive

    def _encoded(self, taken: Sequence[tuple[list[str], float | None, Any]], tally: Tally) -> list[dict[str, Any]]:
        texts = [prompt + text for row, _, _ in taken for prompt, text in zip(self._prompts, row, strict=False)]
        if not texts:
            return []
        tokens = self._tokenizer(texts, truncation=True, max_length=self._longest)
        # Only a fast tokenizer tells what it cut off.
        over = [bool(one.overflowing) for one in tokens.encodings or []] or [False] * len(texts)
        ids = iter(zip(tokens["input_ids"], over, strict=True))
        rows = []
        for row, score, group in taken:
            pieces = [next(ids) for _ in row]
            number = self._groups.setdefault(group, len(self._groups))
            encoded = [one for one, _ in pieces]
            rows.append({"texts": encoded, "label": float(number if score is None else score), "group": number})
            tally.kept += 1
            tally.cut += any(cut for _, cut in pieces)
            tally.tokens += sum(map(len, encoded))
            tally.longest = max(tally.longest, *map(len, encoded))
        return rows


def by_label(labels: Sequence[int], seed: int) -> list[int]:
    """Row numbers, shuffled, so that two rows of one label stand together wherever there are two."""
    shuffler = random.Random(seed)
    rows = list(range(len(labels)))
    shuffler.shuffle(rows)
    waiting: dict[int, int] = {}
    couples: list[list[int]] = []
    for row in rows:
        other = waiting.pop(labels[row], None)
        if other is None:
            waiting[labels[row]] = row
        else:
            couples.append([other, row])
    couples += [[row] for row in waiting.values()]
    shuffler.shuffle(couples)
    # A single row in the middle would part the couples that follow it.
    couples.sort(key=len, reverse=True)
    return [row for couple in couples for row in couple]


def measured(kind: str, found: Any) -> dict[str, float]:
    """How well the held-out rows are told apart, from a Trainer's ``EvalPrediction``: ``predictions`` are the vectors of
    each row's anchor and positive, of length 1, side by side (of its text alone where rows are labelled).

    ``accuracy``: the share of anchors to which their own positive is the nearest of all held-out positives; where rows are
    labelled, the share of texts whose nearest other text has the same label. ``spearman``: of the cosines with the scores.
    """
    import numpy as np

    vectors, (labels, groups) = np.asarray(found.predictions, dtype=np.float32), found.label_ids
    if kind == "labels":
        near = vectors @ vectors.T
        np.fill_diagonal(near, -2.0)
        return {"accuracy": float((groups[near.argmax(1)] == groups).mean())}
    anchors, others = np.split(vectors, 2, axis=1)
    if kind == "scores":
        from scipy.stats import spearmanr

        cosines = (anchors * others).sum(1)
        constant = len(set(labels.tolist())) < 2 or float(np.ptp(cosines)) == 0.0
        return {} if constant else {"spearman": float(spearmanr(cosines, labels).statistic)}
    nearest = (anchors @ others.T).argmax(1)
    return {"accuracy": float((groups[nearest] == groups).mean())}


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
