"""A test split where a source has none: seeded, so that the same source always gives the same rows."""

from __future__ import annotations

from typing import Any


def with_test(splits: dict[str, Any], fraction: float, seed: int) -> tuple[dict[str, Any], str]:
    """``splits`` (of ``datasets.Dataset``) with a test split taken from the only one, and a note that says so.

    At least one row is taken and one is left; rows keep their order. ``fraction`` 0 leaves everything as it is.
    """
    if len(splits) != 1 or not fraction:
        return splits, ""
    [(name, rows)] = splits.items()
    total = len(rows)
    if total < 2:
        return splits, "One row only: no test split was made."
    import numpy as np

    count = min(max(1, round(total * fraction)), total - 1)
    taken = np.zeros(total, dtype=bool)
    taken[np.random.default_rng(seed).choice(total, count, replace=False)] = True
    # Ascending indices keep reading the old file in order, which matters when it is larger than memory.
    made = {name: rows.select(np.flatnonzero(~taken)), "test": rows.select(np.flatnonzero(taken))}
    return made, f"The source had no test split: {count} of {total} rows were set aside (seed {seed})."
