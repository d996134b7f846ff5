"""Measures of tags: entities found in sequences of words, with their intervals. For a job's process."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.data.tags import entities
from engine.evaluation.intervals import Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence


def counts(prediction: Sequence[str], reference: Sequence[str], *, strict: bool = False) -> tuple[int, int, int]:
    """Of a row's entities: those found rightly, those found, those that are there."""
    said, meant = entities(prediction, strict=strict), entities(reference, strict=strict)
    return len(said & meant), len(said), len(meant)


def tagged(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Precision, recall and F1 of entities over all rows (conlleval), F1 averaged over types, F1 in strict IOB2, the share
    of right tags; ``types`` with the figures of each type; and ``intervals`` by name.

    An entity counts when type, beginning and end are right. Both arguments are tags by row, as long as each other row by
    row; raises ``ValueError`` where they are not.
    """
    pairs = list(zip(predictions, references, strict=True))
    if any(len(said) != len(meant) for said, meant in pairs):
        raise ValueError("a row has not as many predicted tags as tags")
    by_type, names = _by_type(pairs)
    strict = np.array([counts(said, meant, strict=True) for said, meant in pairs], dtype=float)  # (rows, 3)
    tags = np.array([[sum(map(str.__eq__, said, meant)), len(meant)] for said, meant in pairs], dtype=float)  # (rows, 2)

    def figures(drawn: Any) -> np.ndarray:
        return _figures(by_type[drawn].sum(0), strict[drawn].sum(0), tags[drawn].sum(0))

    keys = ("entity_precision", "entity_recall", "entity_f1", "entity_macro_f1", "entity_f1_strict", "tag_accuracy")
    whole = figures(slice(None))
    intervals: dict[str, Interval] = dict(zip(keys, bootstrap(len(pairs), figures), strict=True))
    types = {name: _of_type(*column) for name, column in zip(names, by_type.sum(0).tolist(), strict=True)}
    return {**dict(zip(keys, whole.tolist(), strict=True)), "types": types, "intervals": intervals}


def _by_type(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> tuple[np.ndarray, list[str]]:
    """``(counts, names)``: right, found and meant entities, float64 of shape (rows, types, 3), and the types."""
    rows: list[dict[str, list[int]]] = []
    for said, meant in pairs:
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        ours, theirs = entities(said), entities(meant)
        for column, chosen in enumerate((ours & theirs, ours, theirs)):
            for kind, _, _ in chosen:
                found[kind][column] += 1
        rows.append(found)
    names = sorted({name for row in rows for name in row})
    table = np.zeros((len(rows), len(names), 3))
    for at, row in enumerate(rows):
        for column, name in enumerate(names):
            if name in row:
                table[at, column] = row[name]
    return table, names


def _figures(types: np.ndarray, strict: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """The six figures from sums: of types, float64 (types, 3); of strict entities, (3,); of tags, (2,)."""
    right, said, meant = types.sum(0)
    # A type that nobody found or meant in these rows counts 0, as seqeval has it.
    each = _share(2 * types[:, 0], types[:, 1] + types[:, 2])
    return np.array([
        _share(right, said), _share(right, meant), _share(2 * right, said + meant), each.mean() if len(each) else 0.0,
        _share(2 * strict[0], strict[1] + strict[2]), _share(tags[0], tags[1]),
    ], dtype=float)  # fmt: skip


def _share(part: Any, whole: Any) -> Any:
    return np.divide(part, whole, out=np.zeros_like(np.asarray(whole, dtype=float)), where=np.asarray(whole) > 0)


def _of_type(right: float, said: float, meant: float) -> dict[str, float]:
    return {
        "precision": float(_share(right, said)), "recall": float(_share(right, meant)), "f1": float(_share(2 * right, said + meant)),
        "entities": int(meant),
    }  # fmt: skip
