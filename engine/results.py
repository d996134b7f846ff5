"""Result: an answer that every face can show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for a face to draw. Cells are text already. ``whole``: the last column holds sentences, and is never cut."""

    columns: list[str]
    rows: list[list[str]]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines for a face to draw, by their names: (x, y), in the order of x. ``log``: on a logarithmic scale, all y above 0.
    ``seconds``: x is time, else a number."""

    lines: dict[str, list[tuple[float, float]]]
    log: bool = False
    seconds: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """An answer. ``summary`` is one line in plain words; ``data`` is the JSON, with stable keys; ``body`` is
    Markdown; ``opens`` is an address for the screen to go to: ``dataset:NAME/SPLIT/ROW``, ``model:NAME``,
    ``job:ID``, ``run:ID``."""

    summary: str
    data: dict[str, Any] = field(default_factory=dict)
    table: Table | None = None
    body: str = ""
    opens: str = ""
    chart: Chart | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        table, chart = data.get("table"), data.get("chart")
        return cls(**{**data, "table": Table(**table) if table else None, "chart": Chart(**chart) if chart else None})
