"""Text columns that are numbers, dates, times or true and false but for a few values: said, and emptied and listed where a
person asks for that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.data.reading.faults import LeftOut
    from engine.jobs.context import JobContext

Kind = Literal["number", "date", "time", "true or false"]
SHARE = 0.9
"""A text column is taken for another kind when so many of its values are of it."""
CODE = r"^\s*0\d+\s*$"
WHOLE = r"^\s*[+-]?\d{1,18}\s*$"
LOOKS: dict[Kind, str] = {
    "number": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$",
    "date": r"^\s*\d{4}-\d\d-\d\d\s*$",
    "time": r"^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d{1,6})?)?\s*(Z|[+-]\d\d:?\d\d)?)?\s*$",
    "true or false": r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$",
}
"""What a value of each kind looks like; what looks like a date may still be none. Days and times are those of ISO 8601:
others can be read in more than one way."""
REASONS: dict[Kind, str] = {"number": "not a number", "date": "not a date", "time": "not a time", "true or false": "neither true nor false"}


@dataclass(frozen=True, slots=True)
class Nearly:
    """A text column that is nearly of ``kind``: ``odd`` of its ``total`` values are not, ``example`` is the first of them."""

    kind: Kind
    odd: int
    total: int
    example: str

    @property
    def are_none(self) -> str:
        """“are no numbers”."""
        verb = "is" if self.odd == 1 else "are"
        return f"{verb} {REASONS[self.kind]}" if self.kind == "true or false" else f"{verb} no {self.kind}{'' if self.odd == 1 else 's'}"


def nearly(splits: dict[str, Any], *, whole: bool) -> dict[str, Nearly]:
    """The text columns that are nearly something else; ``whole``: also those that hold nothing but dates or times."""
    found: dict[str, Nearly] = {}
    first = next(iter(splits.values()))
    for column in [name for name, feature in first.features.items() if getattr(feature, "dtype", "") in ("string", "large_string")]:
        values = [data.data.column(column) for data in splits.values()]
        near = next((near for kind in LOOKS if (near := _nearly(values, kind))), None)
        if near and (near.odd or (whole and near.kind in ("date", "time"))):
            found[column] = near
    return found


def _nearly(columns: list[pa.ChunkedArray], kind: Kind) -> Nearly | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "number" and any(pc.any(pc.match_substring_regex(values, CODE)).as_py() for values in columns):
        return None  # codes with a zero in front, which is part of them
    odd, total, example = 0, 0, ""
    for chunk in (chunk for values in columns for chunk in values.chunks):
        looks = pc.match_substring_regex(chunk, LOOKS[kind])
        total += len(chunk) - chunk.null_count
        if (odd + (pc.sum(pc.invert(looks)).as_py() or 0)) > (1 - SHARE) * total and total > 1000:
            return None
        unfit = pc.and_(pc.invert(fits(chunk, kind, pc.fill_null(looks, pa.scalar(False)))), pc.is_valid(chunk))
        odd += pc.sum(unfit).as_py() or 0
        if odd and not example:
            example = str(chunk.filter(unfit)[0].as_py())
    return Nearly(kind, odd, total, example) if total and odd <= (1 - SHARE) * total else None


def fits(values: Any, kind: Kind, looks: Any) -> Any:
    """Whether each value is of a kind; an empty one is not. ``looks``: whether it looks like one."""
    import pyarrow as pa

    if kind not in ("date", "time"):
        return looks
    read = _day if kind == "date" else _moment
    return pa.array([bool(like) and read(value) is not None for value, like in zip(values.to_pylist(), looks.to_pylist(), strict=True)], pa.bool_())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """A time; one without a zone counts as UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def cast(job: JobContext, splits: dict[str, Any], kinds: dict[str, Kind], left: LeftOut) -> dict[str, Any]:
    """The columns as what they nearly are; each value that is not becomes nothing, and is listed with its row."""
    types = {column: _type([data.data.column(column) for data in splits.values()], kind) for column, kind in kinds.items()}
    return {split: _cast(job, split, data, kinds, types, left) for split, data in splits.items()}


def _type(columns: list[pa.ChunkedArray], kind: Kind) -> pa.DataType:
    """The type that holds every value of a column: whole numbers where all are whole, a zone where a time has one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def some(pattern: str) -> bool:
        return any(bool(pc.any(pc.match_substring_regex(values, pattern)).as_py()) for values in columns)

    if kind == "number":
        whole = all(
            pc.all(pc.or_(pc.invert(pc.match_substring_regex(values, LOOKS["number"])), pc.match_substring_regex(values, WHOLE))).as_py() is not False
            for values in columns
        )
        return pa.int64() if whole else pa.float64()
    if kind == "time":
        return pa.timestamp("us", tz="UTC" if some(r"\d\s*(Z|[+-]\d\d:?\d\d)\s*$") and some(r"\d:\d\d.*(Z|[+-]\d\d:?\d\d)\s*$") else None)
    return pa.date32() if kind == "date" else pa.bool_()


def _cast(job: JobContext, split: str, data: Any, kinds: dict[str, Kind], types: dict[str, pa.DataType], left: LeftOut) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets.features.features import generate_from_arrow_type

    features = data.features.copy()
    for column, kind in types.items():
        features[column] = generate_from_arrow_type(kind)

    def fitted(table: pa.Table, indices: list[int]) -> pa.Table:
        job.check()
        for column, kind in kinds.items():
            values = table.column(column).combine_chunks()
            fit = fits(values, kind, pc.fill_null(pc.match_substring_regex(values, LOOKS[kind]), pa.scalar(False)))
            for at in pc.indices_nonzero(pc.and_(pc.invert(fit), pc.is_valid(values))).to_pylist():
                left.value(split, indices[at], column, values[at].as_py(), REASONS[kind])
            table = table.set_column(table.schema.get_field_index(column), column, _as(values, fit, kind, types[column]))
        return table

    return data.with_format("arrow").map(fitted, batched=True, with_indices=True, features=features, load_from_cache_file=False).with_format(None)


def _as(values: Any, fit: Any, kind: Kind, wanted: pa.DataType) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind in ("date", "time"):
        read: Any = _day if kind == "date" else _moment
        found = [read(value) if good else None for value, good in zip(values.to_pylist(), fit.to_pylist(), strict=True)]
        if kind == "time" and wanted.tz is None:
            found = [value.replace(tzinfo=None) if value else None for value in found]
        return pa.array(found, wanted)
    kept = pc.if_else(fit, pc.utf8_trim_whitespace(values), pa.scalar(None, values.type))
    return pc.equal(pc.utf8_lower(kept), "true") if kind == "true or false" else pc.replace_substring_regex(kept, r"^\+", "").cast(wanted)
