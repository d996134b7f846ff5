"""``--where``: the rows of a dataset that a SQL condition over its own columns lets through."""

from __future__ import annotations

import re
from typing import Any

from engine.data.sql import ROW, SPLIT, Sql, quoted
from engine.errors import DataError, WordsError
from engine.store.datasets import DatasetRecord


def rows_where(dataset: dict[str, Any], condition: str) -> dict[str, Any]:
    """For each split, the rows' numbers, in order. ``dataset`` is a ``DatasetRecord`` as a dictionary.

    Raises ``WordsError`` that points into the condition.
    """
    import numpy as np
    import pyarrow.compute as pc

    record = DatasetRecord(**dataset)
    try:
        with Sql([record]) as sql:
            start = f"SELECT {SPLIT}, {ROW} FROM {quoted(record.name)} WHERE"  # noqa: S608 — Sql only reads
            # Once without brackets, so that the condition can't close them and go on behind.
            sql.table(f"EXPLAIN {start}\n{condition}")
            found = sql.table(f"{start} (\n{condition}\n) ORDER BY ALL")
    except DataError as error:
        raise _pointing(error, condition, record) from None
    return {split: np.asarray(found.filter(pc.equal(found[SPLIT], split))[ROW]) for split in record.splits}


def _pointing(error: DataError, condition: str, record: DatasetRecord) -> WordsError:
    """The error at the word that it speaks of, as far as it names one."""
    message = re.sub(r" \(line \d+ of the query\)", "", error.message)
    start, end = 0, len(condition)
    for word in re.findall(r'"([^"]+)"|\'([^\']+)\'', message):
        name = word[0] or word[1]
        if at := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", condition):
            start, end = at.span()
            break
    hint = error.hint or f"A condition as SQL writes it, over {', '.join(list(record.features)[:12])}, {SPLIT} and {ROW}."
    return WordsError(f"--where: {message}", hint, line=condition, start=start, end=end)
