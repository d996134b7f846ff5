"""Vectors in lists of neighbours (an inverted file): past some size a question reads the lists nearest to it alone.

The vectors lie list by list in the one file of the index, so a list is read in one stretch and nothing is stored twice.
Figures and the alternatives: ``docs/decisions/0008-lists-past-a-size.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FROM = 200_000
"""Passages from which there are lists. Up to there every vector is compared, in no more time than the lists take
(measured, see the decision)."""
READ, SHARE = 80_000, 8
"""Passages that a question reads, at least, and the share of all of them (one in so many), whichever is more."""
FOR_EACH = 100
"""Passages read for each row wanted, at least: a thousand rows lie in more lists than ten."""
SAMPLE, ROUNDS, BLOCK = 48, 8, 8192
"""Passages looked at for each list when its centre is sought, how often, and rows of one product."""


def write(folder: Path, vectors_file: Path, check: Callable[[], None]) -> None:
    """Sort the vectors in ``vectors_file`` (float32, rows of length 1) into lists, and say in ``folder`` where each is.

    The same vectors give the same lists. ``check`` is called every now and then, and may raise.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    vectors = np.load(vectors_file, mmap_mode="r")
    # One thread: OpenBLAS's threads spin while they wait, beside whatever else is busy.
    with threadpool_limits(1, user_api="blas"):
        centres = _centres(vectors, round(2 * len(vectors) ** 0.5), check)
        nearest = _nearest(vectors, centres, check)
    order = np.argsort(nearest, kind="stable")
    temporary = vectors_file.with_name(f".{vectors_file.name}")
    sorted_vectors = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=vectors.shape)
    for start in range(0, len(order), BLOCK):
        check()
        sorted_vectors[start : start + BLOCK] = vectors[order[start : start + BLOCK]]
    sorted_vectors.flush()
    del vectors, sorted_vectors
    folder.mkdir()
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(nearest, minlength=len(centres)))])
    for name, values in {"centres": centres, "starts": starts, "numbers": order.astype(np.int32), "places": places}.items():
        np.save(folder / f"{name}.npy", values)
    temporary.replace(vectors_file)


class Lists:
    """Where the vectors of a finished index lie: ``numbers[place]`` is a passage, ``places[number]`` its place."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        self.centres, self.starts, self.numbers, self.places = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("centres", "starts", "numbers", "places")
        )

    def near(self, vectors: Any, vector: Any, count: int) -> tuple[Any, Any]:
        """The passages of the lists nearest to ``vector``, in the order of the data, and their cosines; enough of them
        that the ``count`` best of all are among them, nearly always."""
        import numpy as np

        sizes = np.diff(self.starts)
        order = np.argsort(-(self.centres @ vector), kind="stable")
        wanted = max(READ, len(vectors) // SHARE, FOR_EACH * count)
        read = order[: int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1]
        parts = [slice(int(self.starts[number]), int(self.starts[number + 1])) for number in np.sort(read)]
        numbers = np.concatenate([self.numbers[part] for part in parts])
        scores = np.concatenate([vectors[part] @ vector for part in parts])
        order = np.argsort(numbers)
        return numbers[order], scores[order]


def _centres(vectors: Any, count: int, check: Callable[[], None]) -> Any:
    """Spherical k-means over a sample: ``(count, dimension)``, rows of length 1."""
    import numpy as np

    dice = np.random.default_rng(0)
    sample = vectors[np.sort(dice.choice(len(vectors), min(len(vectors), SAMPLE * count), replace=False))]
    centres = sample[dice.choice(len(sample), count, replace=False)]
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centres, check)
        order, sizes = np.argsort(nearest, kind="stable"), np.bincount(nearest, minlength=count)
        kept = np.flatnonzero(sizes)
        sums = np.add.reduceat(sample[order], (np.cumsum(sizes) - sizes)[kept], axis=0)
        centres[kept] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        # A centre that nothing is near to begins again elsewhere.
        centres[sizes == 0] = sample[dice.choice(len(sample), int((sizes == 0).sum()), replace=False)]
    return centres


def _nearest(vectors: Any, centres: Any, check: Callable[[], None]) -> Any:
    """The number of the centre nearest to each vector."""
    import numpy as np

    found = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), BLOCK):
        check()
        found[start : start + BLOCK] = (vectors[start : start + BLOCK] @ centres.T).argmax(1)
    return found
