"""Several files of one dataset: how their columns differ, and one table of all of them where a person wants that."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLD = 4
"""Files that the error names one by one."""


def refusal(columns: Mapping[str, Mapping[str, str]]) -> DataError | None:
    """What is different between the files (their names to their columns' types), with the offer of a union; ``None`` when
    nothing is."""
    usual = Counter(tuple(sorted(found)) for found in columns.values()).most_common(1)[0][0]
    odd = []
    for name, found in columns.items():
        lacks, has = [c for c in usual if c not in found], [c for c in found if c not in usual]
        if lacks or has:
            parts = [f"lacks {_listed(lacks)}" if lacks else "", f"has {_listed(has)} besides" if has else ""]
            odd.append(f"{name} {' and '.join(part for part in parts if part)}")
    for column in usual:
        kinds: dict[str, str] = {}
        for name, found in columns.items():
            if column in found and found[column] != "null":
                kinds.setdefault(found[column], name)
        if len(kinds) > 1:
            odd.append(f"“{column}” is {' but '.join(f'{kind} in {name}' for kind, name in kinds.items())}")
    if not odd:
        return None
    more = f", and {len(odd) - TOLD} more differences" if len(odd) > TOLD else ""
    message = f"The {len(columns)} files do not have the same columns: {'; '.join(odd[:TOLD])}{more}."
    hint = "A union takes the columns of all files; what a file lacks is empty in its rows."
    return DataError(message, hint).offer("add them as a union of all columns", union=True)


def join(parts: Sequence[Any]) -> Any:
    """``datasets.Dataset``s under each other, with the columns of all of them. Raises ``DataError`` for types with no
    common one."""
    from datasets import Features, Value, concatenate_datasets

    wanted: dict[str, Any] = {}
    for part in parts:
        for name, feature in part.features.items():
            wanted[name] = _common(name, wanted.get(name), feature)
    for name, feature in wanted.items():
        if isinstance(feature, Value) and feature.dtype == "null":
            wanted[name] = Value("string")
    aligned = []
    for part in parts:
        features = Features({name: wanted[name] for name in part.features})
        aligned.append(part if part.features == features else part.cast(features))
    return concatenate_datasets(aligned)


def _common(name: str, one: Any, other: Any) -> Any:
    from datasets import Value

    if one is None or one == other or getattr(one, "dtype", "") == "null":
        return other
    if getattr(other, "dtype", "") == "null":
        return one
    if not (isinstance(one, Value) and isinstance(other, Value)):
        raise DataError(
            f"“{name}” is not the same kind of thing in all files: {one} and {other}.", "Leave the column out, or add the files one by one."
        )
    kinds = {one.dtype, other.dtype}
    if all(kind.startswith(("int", "uint", "float")) for kind in kinds):
        return Value("int64" if all(kind.startswith(("int", "uint")) for kind in kinds) else "float64")
    return Value("string")


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f"“{column}”" for column in columns[:6])
    return f"{shown} and {len(columns) - 6} more" if len(columns) > 6 else shown
