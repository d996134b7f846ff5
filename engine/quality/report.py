"""What a check found: findings, each with its groups of rows and the SQL expression that means its rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.data.sql import ROW, SPLIT, text

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["duplicates", "near", "leaks", "labels", "personal"]
KINDS: tuple[Kind, ...] = ("duplicates", "near", "leaks", "labels", "personal")
Severity = Literal["high", "medium", "low"]
GROUPS_KEPT = 1000
MEMBERS_KEPT = 40
TEXT_KEPT = 1000
"""How much of a finding a report holds to look at. Its counts and its expression are always whole."""


@dataclass(frozen=True, slots=True)
class Member:
    """A row of a group. ``note`` says what is about it; ``goes`` whether the finding's filter removes it."""

    address: str
    text: str
    label: str = ""
    note: str = ""
    goes: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together: the first is the one that is kept, or that is spoken about."""

    members: list[Member]
    score: float | None = None
    more: int = 0
    """Members beyond those that are listed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``key`` names it for good (``leaks.exact``); ``rows`` are those that its filter removes, in ``groups`` groups;
    ``splits`` holds for each split the condition that means them."""

    key: str
    kind: Kind
    title: str
    severity: Severity
    rows: int
    groups: int
    says: str
    splits: dict[str, str]
    examples: list[Group] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The expression over all splits that means its rows."""
        return joined(self.splits)


@dataclass(frozen=True, slots=True)
class Report:
    """``against`` is the other dataset it was held against; ``skipped`` says what could not be looked at, and the way."""

    dataset: str
    fingerprint: str
    against: str
    rows: int
    seconds: float
    looked: list[str]
    findings: list[Finding]
    skipped: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        return cls(**{**data, "findings": [_finding(item) for item in data["findings"]]})


def _finding(data: dict[str, Any]) -> Finding:
    groups = [Group(**{**group, "members": [Member(**member) for member in group["members"]]}) for group in data["examples"]]
    return Finding(**{**data, "examples": groups})


def rows_by_split(rows: Iterable[tuple[str, int]]) -> dict[str, str]:
    """For each split the condition that is true of its rows among these (split, row); runs of rows are written as ranges."""
    by_split: dict[str, list[int]] = {}
    for split, row in rows:
        by_split.setdefault(split, []).append(row)
    return {split: _of(sorted(set(numbers))) for split, numbers in by_split.items()}


def joined(by_split: dict[str, str]) -> str:
    """The one expression over all splits that means the same rows."""
    parts = [f"{SPLIT} = {text(split)} AND {condition}" for split, condition in by_split.items()]
    return parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts) or "false"


def _of(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    ranges = [f"{ROW} BETWEEN {first} AND {last}" for first, last in runs if last - first > 2]
    single = [number for first, last in runs if last - first <= 2 for number in range(first, last + 1)]
    listed = [f"{ROW} IN ({', '.join(map(str, single))})" if len(single) > 1 else f"{ROW} = {single[0]}"] if single else []
    parts = ranges + listed
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"
