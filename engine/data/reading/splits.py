"""A test split where a source has none: seeded, so that the same source always gives the same rows."""

from __future__ import annotations

from typing import Any


def with_test(splits: dict[str, Any], fraction: float, seed: int, label: str = "") -> tuple[dict[str, Any], str]:
    """``splits`` (of ``datasets.Dataset``) with a test split taken from the only one, and a note that says so.

    At least one row is taken and one is left; rows keep their order. With a ``label`` column each label gives its share.
    ``fraction`` 0 leaves everything as it is.
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
    by_label = _by_label(rows, label, count) if label else None
    random = np.random.default_rng(seed)
    taken[random.choice(total, count, replace=False) if by_label is None else _shares(by_label, count, random)] = True
    # Ascending indices keep reading the old file in order, which matters when it is larger than memory.
    made = {name: rows.select(np.flatnonzero(~taken)), "test": rows.select(np.flatnonzero(taken))}
    shares = "" if by_label is None else f", of each “{label}” its share"
    return made, f"The source had no test split: {count} of {total} rows were set aside (seed {seed}){shares}."


def _by_label(rows: Any, label: str, count: int) -> list[Any] | None:
    """The row numbers of each label, most frequent first; ``None`` where there are too many labels for shares."""
    import numpy as np
    import pyarrow.compute as pc

    codes = pc.dictionary_encode(rows.with_format("arrow")[label] if rows._indices is not None else rows.data.column(label), null_encoding="encode")
    numbers = np.concatenate(
        [chunk.indices.to_numpy() for chunk in codes.combine_chunks().chunks]
        if hasattr(codes.combine_chunks(), "chunks")
        else [codes.combine_chunks().indices.to_numpy()]
    )
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return sorted(groups, key=lambda group: (-len(group), group[0])) if 1 < len(groups) <= count else None


def _shares(groups: list[Any], count: int, random: Any) -> Any:
    """``count`` row numbers: of each group its share rounded down, and one more of those with the largest rest."""
    import numpy as np

    total = sum(map(len, groups))
    exact = [len(group) * count / total for group in groups]
    shares = [int(share) for share in exact]
    for at in sorted(range(len(groups)), key=lambda at: (shares[at] - exact[at], at))[: count - sum(shares)]:
        shares[at] += 1
    return np.concatenate([random.choice(group, share, replace=False) for group, share in zip(groups, shares, strict=True)])
