"""Columns that are numbers but for a few values: said, and emptied and listed where a person asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.data.faults import LeftOut
    from engine.jobs.context import JobContext

SHARE = 0.9
"""A text column is taken for one of numbers when so many of its values are."""
CODE = r"^\s*0\d+\s*$"
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
WHOLE = r"^\s*[+-]?\d{1,18}\s*$"


def nearly_numbers(splits: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
    """The text columns that are nearly numbers: how many values are not, of how many, and the first that is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, tuple[int, int, str]] = {}
    first = next(iter(splits.values()))
    for column in [name for name, feature in first.features.items() if getattr(feature, "dtype", "") in ("string", "large_string")]:
        odd, total, example = 0, 0, ""
        if any(pc.any(pc.match_substring_regex(data.data.column(column), CODE)).as_py() for data in splits.values()):
            continue  # codes with a zero in front, which is part of them
        for data in splits.values():
            for chunk in data.data.column(column).chunks:
                fits = pc.match_substring_regex(chunk, NUMBER)
                odd += pc.sum(pc.invert(fits)).as_py() or 0
                total += len(chunk) - chunk.null_count
                if odd > (1 - SHARE) * total and total > 1000:
                    break
                if odd and not example:
                    example = str(chunk.filter(pc.fill_null(pc.invert(fits), pa.scalar(False)))[0].as_py())
        if odd and total and odd <= (1 - SHARE) * total:
            found[column] = (odd, total, example)
    return found


def cast(job: JobContext, splits: dict[str, Any], columns: list[str], left: LeftOut) -> dict[str, Any]:
    """The columns as numbers; each value that is none becomes nothing, and is listed with its row."""
    return {split: _cast(job, split, data, columns, left) for split, data in splits.items()}


def _cast(job: JobContext, split: str, data: Any, columns: list[str], left: LeftOut) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets import Value

    whole = {}
    for column in columns:
        values = data.data.column(column)
        numbers = values.filter(pc.fill_null(pc.match_substring_regex(values, NUMBER), pa.scalar(False)))
        whole[column] = bool(pc.all(pc.match_substring_regex(numbers, WHOLE)).as_py())
    features = data.features.copy()
    for column in columns:
        features[column] = Value("int64" if whole[column] else "float64")

    def fitted(table: pa.Table, indices: list[int]) -> pa.Table:
        job.check()
        for column in columns:
            values = table.column(column)
            fits = pc.fill_null(pc.match_substring_regex(values, NUMBER), pa.scalar(False))
            for at in pc.indices_nonzero(pc.and_(pc.invert(fits), pc.is_valid(values))).to_pylist():
                left.value(split, indices[at], column, values[at].as_py())
            kept = pc.if_else(fits, pc.utf8_trim_whitespace(values), pa.scalar(None, values.type))
            plain = pc.replace_substring_regex(kept, r"^\+", "")
            table = table.set_column(table.schema.get_field_index(column), column, plain.cast(pa.int64() if whole[column] else pa.float64()))
        return table

    return data.with_format("arrow").map(fitted, batched=True, with_indices=True, features=features, load_from_cache_file=False).with_format(None)
