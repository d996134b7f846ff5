"""Ballots: the answers of two to four sides to one prompt, in the order they are shown in, and the vote."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import NotFound
from engine.events import now

if TYPE_CHECKING:
    from engine.store.database import Database


@dataclass(frozen=True, slots=True)
class Ballot:
    """``sides`` are labels (``model@preset+setting=value``), ``answers`` theirs; ``prompt`` are the messages that all of
    them read. ``shown[place]`` is the side that stands at a place (drawn with ``seed``). ``vote`` is empty, ``tie``,
    ``skip``, or the number of a side. ``batch`` is the job that wrote it, or empty; ``address`` the row it came from."""

    prompt: list[dict[str, str]]
    sides: list[str]
    answers: list[str]
    shown: list[int]
    seed: int
    batch: str = ""
    address: str = ""
    vote: str = ""
    created: str = field(default_factory=now)
    voted: str = ""
    id: int = 0


class BallotTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, ballot: Ballot) -> int:
        """Store it and return its number."""
        return self._db.write(
            "INSERT INTO ballots (batch, prompt, sides, answers, shown, seed, address, vote, created, voted) VALUES (?,?,?,?,?,?,?,?,?,?)",
            ballot.batch, json.dumps(ballot.prompt), json.dumps(ballot.sides), json.dumps(ballot.answers), json.dumps(ballot.shown), ballot.seed,
            ballot.address, ballot.vote, ballot.created, ballot.voted,
        )  # fmt: skip

    def get(self, number: str) -> Ballot:
        """Raises ``NotFound``."""
        row = self._db.row("SELECT * FROM ballots WHERE id = ?", number)
        if row is None:
            raise NotFound(f"There is no ballot {number}.", "`versus A,B TEXT` makes one; `ballot` shows the next that waits for a vote.")
        return _ballot(row)

    def next(self, batch: str | None = None) -> Ballot | None:
        """The oldest that waits for a vote: of a batch, or of all (``None``)."""
        which = "" if batch is None else " AND batch = ?"
        row = self._db.row(f"SELECT * FROM ballots WHERE vote = ''{which} ORDER BY id", *([] if batch is None else [batch]))  # noqa: S608
        return _ballot(row) if row else None

    def all(self, batch: str | None = None) -> list[Ballot]:
        rows = self._db.rows("SELECT * FROM ballots ORDER BY id")
        return [ballot for row in rows if (ballot := _ballot(row)) and batch in (None, ballot.batch)]

    def vote(self, number: int, vote: str) -> None:
        self._db.write("UPDATE ballots SET vote = ?, voted = ? WHERE id = ?", vote, now(), number)

    def forget(self, batch: str) -> None:
        """Remove what a job wrote, so that it can write it again."""
        self._db.write("DELETE FROM ballots WHERE batch = ?", batch)


def _ballot(row: Any) -> Ballot:
    values = dict(row)
    for name in ("prompt", "sides", "answers", "shown"):
        values[name] = json.loads(values[name])
    return Ballot(**values)
