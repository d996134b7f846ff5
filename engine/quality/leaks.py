"""Held-out rows that are in the training rows too: the same text, or nearly the same words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.quality.corpus import BATCH, digest
from engine.quality.near import SAME, Sketches, jaccard, shingle_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.jobs.context import JobContext

NEAR_MOST = 512
"""Held-out rows that are compared by words; by text all are."""
TRIED = 3
"""Training rows that each held-out row is really compared with in a batch: the likeliest by their signatures."""


@dataclass(slots=True)
class Leaks:
    """``exact`` maps a held-out row to a training row with its text; ``near`` to one with nearly its words, and how
    near (Jaccard over shingles). ``compared`` rows were looked at by words, of ``held``."""

    held: int
    compared: int
    exact: dict[int, int] = field(default_factory=dict)
    near: dict[int, tuple[int, float]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the held-out rows, those whose text is in the training rows."""
        return len(self.exact) / max(1, self.held)


def between(job: JobContext, learnt: Iterable[str], held: Sequence[str]) -> Leaks:
    """Compare texts to learn from with held-out ones. A text of nothing leaks nothing. Raises ``Stopped``."""
    found = Leaks(len(held), min(len(held), NEAR_MOST))
    by_digest: dict[int, list[int]] = {}
    for number, text in enumerate(held):
        if mark := digest(text):
            by_digest.setdefault(mark, []).append(number)
    sets = [shingle_set(text) for text in held[:NEAR_MOST]]
    ours = _signatures(list(held[:NEAR_MOST])) if sets else None
    first = 0
    for texts in _batches(learnt):
        job.check()
        job.progress(first, None, "row", "comparing with the held-out rows")
        for number, text in enumerate(texts, start=first):
            for row in by_digest.pop(digest(text), []):
                found.exact[row] = number
        if ours is not None:
            _near(found, ours, sets, texts, first)
        first += len(texts)
    for row in found.exact:
        found.near.pop(row, None)
    return found


def _near(found: Leaks, ours: Any, sets: list[set[int]], texts: list[str], first: int) -> None:
    import numpy as np

    theirs = _signatures(texts)
    for row, mine in enumerate(ours):
        if row in found.exact or row in found.near or not sets[row]:
            continue
        alike = (theirs == mine).mean(1)
        for at in np.argsort(-alike, kind="stable")[:TRIED].tolist():
            # Signatures estimate; the texts decide.
            if alike[at] < SAME - 0.2:
                break
            if (score := jaccard(sets[row], shingle_set(texts[at]))) >= SAME:
                found.near[row] = (first + at, round(score, 3))
                break


def _signatures(texts: list[str]) -> Any:
    sketches = Sketches(len(texts))
    sketches.add(0, texts)
    return sketches.matrix


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
