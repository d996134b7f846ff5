"""``--where``: the rows of a dataset that a SQL condition over its own columns lets through."""

from __future__ import annotations

from typing import Any

from engine.data.looking.view import selecting
from engine.data.sql import ROW, SPLIT, Sql
from engine.store.datasets import DatasetRecord


def rows_where(dataset: dict[str, Any], condition: str) -> dict[str, Any]:
    """For each split, the rows' numbers, in order. ``dataset`` is a ``DatasetRecord`` as a dictionary.

    Raises ``DataError`` that points into the condition.
    """
    import numpy as np
    import pyarrow.compute as pc

    record = DatasetRecord(**dataset)
    with Sql([record]) as sql:
        found = sql.table(f"{selecting(sql, record, '', condition.strip())} ORDER BY ALL")
    return {split: np.asarray(found.filter(pc.equal(found[SPLIT], split))[ROW]) for split in record.splits}
