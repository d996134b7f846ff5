"""Near duplicates by their words: MinHash finds the candidates, and each pair is then compared for real."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engine.quality.corpus import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.jobs.context import JobContext
    from engine.quality.corpus import Corpus
    from engine.quality.pairs import Pairs

SHINGLE = 4
"""Characters in a shingle: short enough that a typo in a short text leaves most of them."""
HASHES = 96
BANDS = 24
"""Bands of four hashes: a pair of similarity .7 becomes a candidate with a chance of .998, one of .3 with .18."""
SAME = 0.7
"""From this Jaccard similarity on two texts are near duplicates; `python -m tests.bench quality` shows what others would find."""
CROWD = 60
"""A bucket with more rows than this is compared with its first row and from neighbour to neighbour, not all with all."""
CHUNK = 5000
"""Pairs compared at once: their texts are in memory meanwhile."""
_STEP = 0x9E3779B97F4A7C15


class Sketches:
    """The signature of each text, in reading order."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.matrix = np.zeros((count, HASHES), np.uint32)

    def add(self, first: int, texts: list[str]) -> None:
        import numpy as np
        from rensa import RMinHash

        hashes, starts = shingles(texts)
        found = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, num_perm=HASHES, seed=42)
        self.matrix[first : first + len(texts)] = np.array(found.to_rows(), dtype=np.uint32)

    def candidates(self, rows: Any) -> Iterator[tuple[Any, Any]]:
        """Pairs of ``rows`` that share a band of their signatures, band by band: two arrays, ``a < b``."""
        import numpy as np

        wide = HASHES // BANDS
        for band in range(BANDS):
            part = self.matrix[rows, band * wide : (band + 1) * wide].astype(np.uint64)
            key = np.zeros(len(rows), np.uint64)
            for column in range(wide):
                key = (key ^ part[:, column]) * np.uint64(_STEP)
                key ^= key >> np.uint64(31)
            order = np.argsort(key, kind="stable")
            edges = np.flatnonzero(np.diff(key[order])) + 1
            starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(rows)]])
            sizes = ends - starts
            twos = starts[sizes == 2]
            yield rows[order[twos]], rows[order[twos + 1]]
            for start, end in zip(starts[sizes > 2], ends[sizes > 2], strict=True):
                yield _paired(rows[order[start:end]])


def _paired(bucket: Any) -> tuple[Any, Any]:
    import numpy as np

    size = len(bucket)
    if size <= CROWD:
        left, right = np.triu_indices(size, 1)
        return bucket[left], bucket[right]
    return np.concatenate([np.repeat(bucket[0], size - 1), bucket[1:-1]]), np.concatenate([bucket[1:], bucket[2:]])


def find(job: JobContext, corpus: Corpus, sketches: Sketches, rows: Any, pairs: Pairs) -> None:
    """Put every pair of ``rows`` that is near enough into ``pairs``. Raises ``Stopped``."""
    import numpy as np

    seen: list[Any] = []
    for number, (left, right) in enumerate(sketches.candidates(rows)):
        if number % 1000 == 0:
            job.check()
        # A first look at the signatures, which are at hand, spares most readings.
        likely = (sketches.matrix[left] == sketches.matrix[right]).mean(1) >= SAME - 0.2
        likely &= corpus.digest[left] != corpus.digest[right]
        seen.append(left[likely].astype(np.uint64) << np.uint64(32) | right[likely].astype(np.uint64))
    wanted = np.unique(np.concatenate(seen)) if seen else np.zeros(0, np.uint64)
    left, right = (wanted >> np.uint64(32)).astype(np.int64), (wanted & np.uint64(0xFFFFFFFF)).astype(np.int64)
    for first in range(0, len(left), CHUNK):
        job.check()
        job.progress(first, len(left), "pairs", "comparing words")
        some = list(zip(left[first : first + CHUNK].tolist(), right[first : first + CHUNK].tolist(), strict=True))
        sets = {row: shingle_set(text) for row, text in corpus.texts(row for pair in some for row in pair).items()}
        for a, b in some:
            if (score := jaccard(sets[a], sets[b])) >= SAME:
                pairs.add(a, b, score)
    job.progress(len(left), len(left), "pairs", "comparing words")


def jaccard(a: set[int], b: set[int]) -> float:
    """The share of shingles that two texts have in common."""
    both = len(a & b)
    return both / max(1, len(a) + len(b) - both)


def shingle_set(text: str) -> set[int]:
    """The text's shingles themselves, for a comparison that estimates nothing."""
    words = plain(text).ljust(SHINGLE)
    return {hash(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def shingles(texts: list[str]) -> tuple[Any, Any]:
    """The hashes of the texts' overlapping pieces of ``SHINGLE`` characters, end to end, and where each text begins."""
    import numpy as np

    padded = [plain(text).ljust(SHINGLE) for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    count = len(letters) - SHINGLE + 1
    hashes = np.zeros(count, np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * np.uint64(_STEP) + letters[offset : offset + count]
        hashes ^= hashes >> np.uint64(29)
    inside = np.ones(len(letters), bool)
    for offset in range(1, SHINGLE):
        inside[np.cumsum(lengths) - offset] = False
    return hashes[inside[:count]], np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)])


def plain(text: str) -> str:
    """Its words alone."""
    return re.sub(r"[\W_]+", " ", folded(text)).strip()
