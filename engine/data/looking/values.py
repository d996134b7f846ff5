"""The values of a column, counted over all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.data.sql import Sql, quoted
from engine.errors import NotFound

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord


def common(record: DatasetRecord, column: str, count: int) -> list[str]:
    """The ``count`` most frequent values of a column, as text, the most frequent first. Raises ``NotFound``."""
    if column not in record.features:
        raise NotFound.named("column", column, record.features, f"It has {', '.join(record.features)}.")
    name = quoted(column)
    with Sql([record]) as sql:
        found = sql.table(
            f"SELECT {name}::VARCHAR AS value FROM main.{quoted(record.name)} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT ?",
            [count],
        )
    return [str(value) for value in found.column("value").to_pylist()]
