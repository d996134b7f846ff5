"""Answers side by side as the screen knows them: columns that fill, a ballot, and the vote."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class VersusView:
    """``name`` is what the screen was opened with: a ballot's number, ``batch-JOB``, or sides (``a,b``)."""

    name: str
    sides: str = ""
    batch: str = ""
    ballot: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    ticket: str = ""
    note: str = ""
    asked: str = ""

    def __post_init__(self) -> None:
        if self.name.startswith("batch-"):
            self.batch = self.name.removeprefix("batch-")
        elif not self.name.isdigit():
            self.sides = self.name

    def begin(self, ticket: str, asked: str = "") -> None:
        """An answer was asked for: empty columns."""
        self.ballot, self.ticket, self.note, self.asked = {}, ticket, "", asked
        self.texts = [""] * len(self.sides.split(","))

    def add(self, side: int, text: str) -> None:
        """A piece of the answer at a place."""
        if side < len(self.texts):
            self.texts[side] += text

    def take(self, data: dict[str, Any]) -> None:
        """A whole ballot, as ``ballot`` and ``vote`` tell it."""
        self.ticket = ""
        self.ballot = data if data.get("places") else {}
        # An empty column would look as if its answer were still to come.
        self.texts = [place["answer"] if place["answer"].strip() else "(nothing)" for place in data.get("places", [])]
        self.batch = self.ballot.get("batch") or self.batch

    @property
    def waits(self) -> bool:
        """Whether a vote can be given now."""
        return bool(self.ballot) and not self.ballot.get("vote") and not self.ticket

    def title(self, place: int) -> str:
        """What stands over a column: its number, and after the vote its name."""
        found = self.ballot.get("places", [])
        if place >= len(found) or "side" not in found[place]:
            return str(place + 1)
        return f"{place + 1} {'✓' if found[place].get('chosen') else '·'} {found[place]['side']}"  # a long name is cut at its end

    def head(self) -> str:
        """The prompt, or what is being done."""
        if self.ticket:
            return f"{self.asked}   (answering, one after the other …)".lstrip()
        prompt = self.ballot.get("prompt") or []
        number = f"{self.ballot['ballot']}  " if self.ballot else ""
        return number + (prompt[-1]["content"] if prompt else self.note)
