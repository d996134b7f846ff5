"""Full-text search over passages by BM25, on memory-mapped arrays: opened in a millisecond, with nothing to load.

Passages are written in segments of ``SEGMENT``, so that building needs little memory; the statistics of all segments
together weigh the words. A term is known by a 64-bit hash of it, so there is no vocabulary to read.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.paths import write_json
from engine.search import analysis

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEGMENT = 200_000
SATURATION, LENGTH = 1.2, 0.75
"""``k1`` and ``b`` of BM25, at their usual values."""
Fields = list[tuple[str, float]]
"""A passage's texts, each with its weight: a word in a column of weight 2 counts twice."""


@lru_cache(maxsize=1 << 18)
def _hash(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def write(folder: Path, passages: Iterable[Fields]) -> None:
    """Make the index of ``passages`` in an empty ``folder``."""
    folder.mkdir(parents=True)
    writer = _Writer()
    segments: list[int] = []
    total = 0.0
    for fields in passages:
        writer.add(fields)
        if len(writer.lengths) == SEGMENT:
            total += writer.save(folder, len(segments))
            segments.append(SEGMENT)
            writer = _Writer()
    if writer.lengths:
        total += writer.save(folder, len(segments))
        segments.append(len(writer.lengths))
    write_json(folder / "words.json", {"segments": segments, "mean": total / max(1, sum(segments))})


class _Writer:
    """One segment as it grows."""

    def __init__(self) -> None:
        self.hashes, self.documents, self.counts, self.lengths = array("Q"), array("i"), array("f"), array("f")

    def add(self, fields: Fields) -> None:
        counts: Counter[str] = Counter()
        for text, weight in fields:
            for term in analysis.document(text):
                counts[term] += weight  # type: ignore[assignment]
        number = len(self.lengths)
        for term, count in counts.items():
            self.hashes.append(_hash(term))
            self.documents.append(number)
            self.counts.append(count)
        self.lengths.append(sum(counts.values()))

    def save(self, folder: Path, number: int) -> float:
        """Write the segment; returns the length of all its passages."""
        import numpy as np

        hashes = np.frombuffer(self.hashes, dtype=np.uint64) if self.hashes else np.zeros(0, np.uint64)
        order = np.argsort(hashes, kind="stable")
        terms, starts = np.unique(hashes[order], return_index=True)
        lengths = np.array(self.lengths, dtype=np.float32)
        for name, values in {
            "terms": terms, "starts": np.append(starts, len(hashes)), "lengths": lengths,
            "documents": np.array(self.documents, dtype=np.int32)[order], "counts": np.array(self.counts, dtype=np.float32)[order],
        }.items():  # fmt: skip
            np.save(folder / f"{number}-{name}.npy", values)
        return float(lengths.sum())


class Words:
    """A finished index, open for searching."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        found = json.loads((folder / "words.json").read_text("utf-8"))
        self._sizes: list[int] = found["segments"]
        self._mean = found["mean"] or 1.0
        self._segments = [
            {name: np.load(folder / f"{number}-{name}.npy", mmap_mode="r") for name in ("terms", "starts", "lengths", "documents", "counts")}
            for number in range(len(self._sizes))
        ]

    def scores(self, query: str) -> Any:
        """The BM25 score of every passage: float32, 0 where no word matches."""
        import numpy as np

        scores = np.zeros(sum(self._sizes), dtype=np.float32)
        for weight, postings in self._weighed(query):
            start = 0
            for segment, size, (first, last) in zip(self._segments, self._sizes, postings, strict=True):
                if last > first:
                    documents, counts = segment["documents"][first:last], segment["counts"][first:last]
                    room = SATURATION * (1 - LENGTH + LENGTH * segment["lengths"][documents] / self._mean)
                    scores[start : start + size][documents] += weight * counts * (SATURATION + 1) / (counts + room)
                start += size
        return scores

    def weights(self, query: str) -> dict[str, float]:
        """How telling each term of a query is: rare ones more."""
        return dict(zip(analysis.query(query), (weight for weight, _ in self._weighed(query)), strict=True))

    def _weighed(self, query: str) -> list[tuple[float, list[tuple[int, int]]]]:
        """For each term of a query: its weight, and where its postings lie in each segment."""
        import numpy as np

        found = []
        for term in analysis.query(query):
            postings = []
            for segment in self._segments:
                at = int(np.searchsorted(segment["terms"], np.uint64(_hash(term))))
                known = at < len(segment["terms"]) and int(segment["terms"][at]) == _hash(term)
                postings.append((int(segment["starts"][at]), int(segment["starts"][at + 1])) if known else (0, 0))
            holders = sum(last - first for first, last in postings)
            found.append((float(np.log(1 + (sum(self._sizes) - holders + 0.5) / (holders + 0.5))), postings))
        return found
