"""Columns of Arrow's type ``map``, which ``datasets`` has no word for: read as lists of ``{key, value}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def listed(schema: pa.Schema) -> tuple[pa.Schema, list[str]]:
    """The schema with lists of pairs where it has maps, however deep, and the columns that have them."""
    import pyarrow as pa

    fields = [field.with_type(_listed(field.type)) for field in schema]
    changed = [field.name for field, was in zip(fields, schema, strict=True) if field.type != was.type]
    return (pa.schema(fields), changed) if changed else (schema, [])


def _listed(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_map(kind):
        return pa.list_(pa.struct([("key", _listed(kind.key_type)), ("value", _listed(kind.item_type))]))
    if types.is_struct(kind):
        return pa.struct([kind.field(at).with_type(_listed(kind.field(at).type)) for at in range(kind.num_fields)])
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_listed(kind.value_type)), kind.list_size)
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_listed(kind.value_type)))
    return pa.list_(kind.value_field.with_type(_listed(kind.value_type))) if types.is_list(kind) else kind


def said(columns: list[str]) -> str:
    """A note about such columns; empty where there are none."""
    if not columns:
        return ""
    named = ", ".join(f"“{name}”" for name in columns[:6])
    return f"{named} {'holds a map' if len(columns) == 1 else 'hold maps'}, read as a list of pairs: key, value."
