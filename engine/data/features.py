"""Columns in plain words, and class numbers as the names they stand for."""

from __future__ import annotations

from typing import Any


def words(feature: Any) -> str:
    """A column's type in plain words."""
    kind = type(feature).__name__
    if kind == "Value":
        return {"large_string": "string", "large_binary": "binary", "string_view": "string"}.get(feature.dtype, str(feature.dtype))
    if kind == "ClassLabel":
        return "string"  # stored as the names, see ``named_labels``
    if kind in ("List", "LargeList"):
        return f"list of {words(feature.feature)}"
    if isinstance(feature, dict):
        return f"struct {{{', '.join(f'{name}: {words(inner)}' for name, inner in feature.items())}}}"
    if isinstance(feature, list):
        return f"list of {words(feature[0])}"
    return kind.lower()


def named_labels(data: Any) -> Any:
    """Class numbers as the names they stand for, so that every reader of the rows sees the same thing."""
    from datasets import ClassLabel, Value

    for column, feature in data.features.items():
        if isinstance(feature, ClassLabel) and feature.names:
            names = dict(enumerate(feature.names))

            def named(values: list[int | None], names: dict[int, str] = names, column: str = column) -> dict[str, list[str | None]]:
                return {column: [None if value is None else names.get(value) for value in values]}

            features = data.features.copy()
            features[column] = Value("string")
            data = data.map(named, batched=True, input_columns=[column], features=features)
    return data
