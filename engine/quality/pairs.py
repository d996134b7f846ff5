"""Pairs of rows that are alike, and the groups they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.quality.corpus import Corpus


@dataclass
class Pairs:
    """Rows ``left[i] < right[i]`` are alike by ``score[i]``."""

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    def add(self, a: int, b: int, score: float) -> None:
        self.left.append(min(a, b))
        self.right.append(max(a, b))
        self.score.append(round(score, 4))

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, slots=True)
class Alike:
    """The row that stays, and the rows that are like it, each with its score."""

    stays: int
    goes: list[tuple[int, float]]

    @property
    def score(self) -> float:
        return min(score for _, score in self.goes)


def same(corpus: Corpus) -> list[list[int]]:
    """The groups of rows whose texts are the same, each in the order of the data."""
    import numpy as np

    order = np.argsort(corpus.digest, kind="stable")
    edges = np.flatnonzero(np.diff(corpus.digest[order])) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(order)]])
    twice = (ends - starts > 1) & (corpus.digest[order][starts] != 0)
    groups = [order[start:end].tolist() for start, end in zip(starts[twice], ends[twice], strict=True)]
    return sorted(groups)


def within(corpus: Corpus, pairs: Pairs) -> list[Alike]:
    """Groups inside one split of the dataset: a row stays, and those like it go. A row only goes for a row that stays
    and that it is itself like: likeness is not handed on from row to row."""
    near: dict[int, list[tuple[int, float]]] = {}
    for a, b, score in zip(pairs.left, pairs.right, pairs.score, strict=True):
        if corpus.side[a] == corpus.side[b] and corpus.own[a]:
            near.setdefault(a, []).append((b, score))
    gone: set[int] = set()
    found = []
    for row in sorted(near):
        if row in gone:
            continue
        goes = sorted((other, score) for other, score in near[row] if other not in gone)
        if goes:
            gone.update(other for other, _ in goes)
            found.append(Alike(row, goes))
    return found


def across(corpus: Corpus, pairs: Pairs) -> list[Alike]:
    """Groups from split to split: the row that is held out (or of the other dataset) stays, those like it go."""
    near: dict[int, list[tuple[int, float]]] = {}
    for a, b, score in zip(pairs.left, pairs.right, pairs.score, strict=True):
        if corpus.side[a] == corpus.side[b] or not (corpus.own[a] or corpus.own[b]):
            continue
        # Of two that are held out alike (or not at all), the earlier split is taken for the one that is learnt from.
        stays, other = (b, a) if corpus.weight[b] >= corpus.weight[a] else (a, b)
        near.setdefault(stays, []).append((other, score))
    gone: set[int] = set()
    found = []
    for row in sorted(near):
        goes = sorted((other, score) for other, score in near[row] if other not in gone)
        gone.update(other for other, _ in goes)
        if goes:
            found.append(Alike(row, goes))
    return found


def pairs_of(corpus: Corpus, groups: list[list[int]]) -> Pairs:
    """The same-text groups as pairs: each row with the first of its own split, and with the first that stays of the others."""
    pairs = Pairs()
    for group in groups:
        firsts: dict[int, int] = {}
        for row in group:
            firsts.setdefault(int(corpus.side[row]), row)
        keeper = max(firsts.values(), key=lambda row: (corpus.weight[row], row))
        for row in group:
            if (first := firsts[int(corpus.side[row])]) != row:
                pairs.add(first, row, 1.0)
            if corpus.side[row] != corpus.side[keeper]:
                pairs.add(row, keeper, 1.0)
    return pairs


def representatives(corpus: Corpus, groups: list[list[int]]) -> Any:
    """Every row with text, but of those with the same text one for each split."""
    import numpy as np

    keep = corpus.digest != 0
    for group in groups:
        seen: set[int] = set()
        for row in group:
            side = int(corpus.side[row])
            keep[row] = side not in seen
            seen.add(side)
    return np.flatnonzero(keep)
