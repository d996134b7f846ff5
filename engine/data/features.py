"""Class numbers as the names they stand for."""

from __future__ import annotations

from typing import Any


def named_labels(data: Any) -> Any:
    """Class numbers as the names they stand for, so that every reader of the rows sees the same thing."""
    from datasets import ClassLabel, LargeList, List, Value

    for column, feature in data.features.items():
        if isinstance(feature, (List, LargeList)) and isinstance(feature.feature, ClassLabel) and feature.feature.names:
            names = dict(enumerate(feature.feature.names))

            def listed(rows: list[Any], names: dict[int, str] = names, column: str = column) -> dict[str, list[Any]]:
                return {column: [row and [None if value is None else names.get(value) for value in row] for row in rows]}

            features = data.features.copy()
            features[column] = List(Value("string"))
            data = data.map(listed, batched=True, input_columns=[column], features=features)
        if isinstance(feature, ClassLabel) and feature.names:
            names = dict(enumerate(feature.names))

            def named(values: list[int | None], names: dict[int, str] = names, column: str = column) -> dict[str, list[str | None]]:
                return {column: [None if value is None else names.get(value) for value in values]}

            features = data.features.copy()
            features[column] = Value("string")
            data = data.map(named, batched=True, input_columns=[column], features=features)
    return data
