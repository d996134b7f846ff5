"""Checking a dataset: one pass over the rows, then what the numbers of that pass show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.quality import findings, kept, labels, meaning, near
from engine.quality.corpus import Batch, Corpus
from engine.quality.pairs import Alike, Pairs, across, pairs_of, representatives, same, within
from engine.quality.personal import hints
from engine.quality.report import KINDS, Finding, Kind, Report
from engine.search.vectors import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.search.vectors import Vectors
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace

AROUND = 60
"""Characters shown on either side of something personal."""


def place(workspace: Workspace, dataset: DatasetRecord, other: DatasetRecord | None, kinds: Sequence[Kind]) -> Path:
    """The file of this check: it depends on the rows, on what is looked for, and on the indexes there are."""
    about: list[object] = [sorted(kinds), near.SAME, meaning.SAME, labels.MARGIN]
    for record in (dataset, other):
        if record:
            index = workspace.indexes.find(record.name)
            about += [record.name, record.fingerprint, record.columns, index and [index.folder, index.fingerprint]]
    return kept.path_of(workspace, dataset.name, "check", about, ".json")


def check(job: JobContext, dataset: DatasetRecord, other: DatasetRecord | None, kinds: Sequence[Kind] = KINDS) -> Report:
    """The report of a dataset, alone or held against another; kept, and served again. Raises ``DataError``, ``Stopped``."""
    path = place(job.workspace, dataset, other, kinds)
    if found := kept.read_report(path):
        return found
    began = time.monotonic()
    looking = _Looking(job, Corpus.of(dataset, other), kinds, dataset, other)
    seen = looking.findings()
    against = other.name if other else ""
    seconds = round(time.monotonic() - began, 2)
    found = Report(dataset.name, dataset.fingerprint, against, dataset.rows, seconds, list(kinds), seen, looking.skipped)
    kept.put_report(job.workspace, path, found)
    return found


class _Looking:
    """One check under way: what was read, and what has been found so far."""

    def __init__(self, job: JobContext, corpus: Corpus, kinds: Sequence[Kind], dataset: DatasetRecord, other: DatasetRecord | None) -> None:
        self.job, self.corpus, self.kinds = job, corpus, kinds
        self.dataset, self.other = dataset, other
        self.skipped: list[str] = []
        self._personal: dict[str, list[tuple[int, str]]] = {}
        self._sketches = near.Sketches(len(corpus)) if "near" in kinds or "leaks" in kinds else None

    def findings(self) -> list[Finding]:
        self.corpus.read(self.job, self._each)
        groups = same(self.corpus)
        clashing, agreeing = self._by_label(groups)
        found: list[Finding] = []
        if "leaks" in self.kinds:
            found += self._leaks("exact", across(self.corpus, pairs_of(self.corpus, groups)))
        if "labels" in self.kinds:
            found += findings.conflicts(self.corpus, clashing)
        if "duplicates" in self.kinds:
            found += self._twice("exact", within(self.corpus, pairs_of(self.corpus, agreeing)))
        if self._sketches is not None:
            rows = representatives(self.corpus, groups)
            pairs = Pairs()
            near.find(self.job, self.corpus, self._sketches, rows, pairs)
            found += self._of_pairs("words", pairs)
        if {"near", "leaks", "labels"} & set(self.kinds):
            found += self._by_meaning(groups)
        for kind, hits in self._personal.items():
            found.append(findings.personal(self.corpus, kind, hits))
        rank = {"high": 0, "medium": 1, "low": 2}
        return sorted(found, key=lambda finding: (rank[finding.severity], KINDS.index(finding.kind), -finding.rows))

    def _each(self, batch: Batch) -> None:
        if self._sketches is not None:
            self._sketches.add(batch.first, batch.texts)
        if "personal" in self.kinds and batch.own:
            for number, text in enumerate(batch.texts, start=batch.first):
                seen: set[str] = set()
                for hint in hints(text):
                    if hint.kind not in seen:
                        seen.add(hint.kind)
                        around = text[max(0, hint.start - AROUND) : hint.end + AROUND]
                        self._personal.setdefault(hint.kind, []).append((number, around))

    def _by_label(self, groups: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
        """The dataset's own same-text groups: those whose labels clash, and those that may be told apart by nothing."""
        clashing, agreeing = [], []
        for group in groups:
            own = [row for row in group if self.corpus.own[row]]
            if len({int(self.corpus.label[row]) for row in own}) > 1:
                clashing.append(own)
            elif len(own) > 1:
                agreeing.append(own)
        return clashing, agreeing

    def _of_pairs(self, how: str, pairs: Pairs) -> list[Finding]:
        found: list[Finding] = []
        if "leaks" in self.kinds:
            found += self._leaks(how, across(self.corpus, pairs))
        if "near" in self.kinds:
            found += self._twice(how, within(self.corpus, pairs))
        return found

    def _leaks(self, how: str, groups: list[Alike]) -> list[Finding]:
        where = f"{self.dataset.name} and {self.other.name}, or its splits" if self.other else "more than one split"
        says = f"Rows of {where} hold {findings.HOW[how]}: what is measured on one was seen in the other. The filter takes them out of the first."
        title = {"exact": "Leaks: the same text", "words": "Leaks: nearly the same words", "meaning": "Leaks: nearly the same meaning"}[how]
        severity = findings.SEVERITY["leaks", how]
        return findings.alike(self.corpus, f"leaks.{how}", "leaks", title, severity, says, groups)

    def _twice(self, how: str, groups: list[Alike]) -> list[Finding]:
        title = {"exact": "Duplicates: the same text", "words": "Near duplicates by words", "meaning": "Near duplicates by meaning"}[how]
        says = f"Rows of one split with {findings.HOW[how]}. The filter keeps the first of each group."
        kind: Kind = "duplicates" if how == "exact" else "near"
        return findings.alike(self.corpus, f"{kind}.{how}", kind, title, findings.SEVERITY["twice", how], says, groups)

    def _by_meaning(self, groups: list[list[int]]) -> list[Finding]:
        """What only the vectors of an index can show. With no index the rest stands, and the report says how to get this."""
        try:
            vectors = [load(self.job.workspace, self.dataset.name)]
        except NotFound as missing:
            self.skipped.append(f"By meaning: {missing.message} {missing.hint}, then check again.")
            return []
        found: list[Finding] = []
        if "labels" in self.kinds:
            found += self._doubts(vectors)
        if "near" in self.kinds or "leaks" in self.kinds:
            vectors += self._of_other()
            rows, matrix = meaning.placed(self.corpus, vectors)
            chosen = self._single(rows, groups)
            pairs = Pairs()
            if not meaning.find(self.job, rows[chosen], matrix[chosen], pairs):
                self.skipped.append(f"By meaning: only the first {len(pairs):,} pairs were kept; take the duplicates out and check again.")
            found += self._of_pairs("meaning", self._new(pairs))
        return found

    def _of_other(self) -> list[Vectors]:
        """The vectors of the dataset it is held against, when they are by the same encoder."""
        if self.other is None:
            return []
        indexes = self.job.workspace.indexes
        ours, theirs = indexes.find(self.dataset.name), indexes.find(self.other.name)
        try:
            if ours and theirs and ours.encoder != theirs.encoder:
                raise NotFound(
                    f"“{self.other.name}” is indexed with {theirs.encoder}, “{self.dataset.name}” with {ours.encoder}.", "Index both alike"
                )
            return [load(self.job.workspace, self.other.name)]
        except NotFound as missing:
            self.skipped.append(f"Leaks by meaning: {missing.message} {missing.hint}, then check again.")
            return []

    def _single(self, rows: Any, groups: list[list[int]]) -> Any:
        """Which vectors to compare: of rows with the same text one for each split is enough."""
        import numpy as np

        return np.isin(rows, representatives(self.corpus, groups))

    def _new(self, pairs: Pairs) -> Pairs:
        """Without the pairs that are the same text, which are a finding of their own."""
        fresh = Pairs()
        for a, b, score in zip(pairs.left, pairs.right, pairs.score, strict=True):
            if self.corpus.digest[a] != self.corpus.digest[b]:
                fresh.add(a, b, score)
        return fresh

    def _doubts(self, vectors: list[Vectors]) -> list[Finding]:
        rows, matrix = meaning.placed(self.corpus, vectors)
        names = self.corpus.label[rows]
        count = len(set(names[names >= 0].tolist()))
        if count < 2:
            self.skipped.append("Labels: the dataset has no label column, or one label alone.")
            return []
        if count > len(rows) // 3:
            self.skipped.append(f"Labels: {count:,} different labels in {len(rows):,} rows are too many to compare neighbours by.")
            return []
        found = labels.doubts(matrix, meaning.nearest(self.job, matrix, labels.NEIGHBOURS), names)
        return findings.doubtful(self.corpus, rows.tolist(), found)
