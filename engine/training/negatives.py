"""Texts that look like the right one and are not: what a reranker learns to tell apart."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.search import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.jobs.context import JobContext


def hard(job: JobContext, anchors: Sequence[str], passages: Sequence[str], right: Mapping[str, set[str]], count: int) -> list[list[int]]:
    """For each anchor the numbers of ``count`` passages that BM25 finds best for it and that are not ``right`` for it;
    others where too few share a word with it. Raises ``Stopped``."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "words"
        words.write(place, ([(text, 1.0)] for text in passages))
        index = words.Words(place)
        found: list[list[int]] = []
        for number, anchor in enumerate(anchors):
            if number % 64 == 0:
                job.check()
                job.progress(number, len(anchors), "row", "looking for texts that are nearly right")
            # Among equal scores, and where no word is shared, each anchor has a draw of its own, always the same.
            scores: Any = np.random.default_rng(number).random(len(passages)) * 1e-6 - index.scores(anchor)
            wanted = min(len(passages), count + len(right[anchor]))
            best = np.argpartition(scores, wanted - 1)[:wanted]
            ordered = best[scores[best].argsort()].tolist()
            found.append([at for at in ordered if passages[at] not in right[anchor]][:count])
        del index
    return found
