"""How a person wants a source to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bad = Literal["", "skip", "cast"]


@dataclass(frozen=True, slots=True)
class Options:
    """``columns`` maps the roles that a person named (text, label, …) to columns; ``bad`` says what becomes of bad rows
    (``skip``: left out and listed) and of odd values in a column of numbers (``cast``: emptied and listed); ``rows``
    takes only the first rows; the rest is said by ``Add``, field by field."""

    test: float = 0.1
    seed: int = 42
    delimiter: str = ""
    encoding: str = ""
    by: str = ""
    revision: str = ""
    subset: str = ""
    columns: dict[str, str] | None = None
    header: Literal["auto", "yes", "no"] = "auto"
    field: str = ""
    table: str = ""
    query: str = ""
    split: str = ""
    bad: Bad = ""
    union: bool = False
    rows: int = 0
