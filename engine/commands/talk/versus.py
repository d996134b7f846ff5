"""Commands about answers side by side: versus, ballot, vote, votes."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import BitternError, DataError, NotFound
from engine.events import SideDelta
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.evaluation.sides import Side
    from engine.jobs.context import JobContext
    from engine.store.ballots import Ballot
    from engine.store.workspace import Workspace

SHOWN = 300
"""Characters of a prompt or an answer in a table."""


class Versus(Now):
    """Let two to four sides answer one prompt, side by side, and vote for the best without knowing which is which.

    A side is MODEL, MODEL@PRESET, or either with settings: smollm2+temperature=0+max-tokens=60. Sides stand in one word with
    commas between them. They are shown in an order drawn with the seed; `vote` tells the names. With --on, a job lets them
    answer rows of a dataset, and `ballot` goes through them. With no text, the screen waits for one.
    """

    verb = "versus"
    effect = "compute"
    words = ("sides", "text")
    rest = True
    completes = {"sides": "models", "on": "datasets"}
    examples = ("versus smollm2,smollm2-tickets Where is my card?", "versus smollm2@terse,smollm2+temperature=1.2 Write a haiku",
                "versus smollm2,smollm2-tickets --on tickets --rows 20")  # fmt: skip

    sides: str = Field(description="Two to four sides, with commas between them")
    text: str = Field("", description="What to ask all of them")
    system: str = Field("", description="A system prompt for the sides that have none of their own")
    max_tokens: int = Field(200, ge=1, description="The longest answer, in tokens, where a side does not say it")
    seed: int | None = Field(None, ge=0, description="Decides the order they are shown in, the rows, and their sampling")
    open_: bool = Field(False, description="Say at once who is who")
    on: str = Field("", description="Answer rows of this dataset, as a job")
    split: str = Field("", description="Which split (test, or validation, or the first)")
    rows: int = Field(20, ge=0, description="How many rows, drawn with the seed; 0 for all")

    def run(self, desk: Desk) -> Result:
        seed = self.seed if self.seed is not None else secrets.randbelow(1 << 31)
        sides = sides_of(desk.workspace, self.sides, self.system, self.max_tokens, seed)
        for side in sides:
            desk.models.record(side.model)
        if self.on:
            record = desk.queue.submit(_prepared(desk, self, seed))
            return Result(f"Job {record.id} is queued: {record.title}.", {"job": record.id}, opens=f"job:{record.id}")
        if not self.text.strip():
            return Result("The screen asks them; in the shell, give a text.", {"sides": [side.label for side in sides]}, opens=f"versus:{self.sides}")
        return self._answered(desk, sides, seed)

    def _answered(self, desk: Desk, sides: list[Side], seed: int) -> Result:
        from engine.evaluation.sides import pieces
        from engine.evaluation.tally import shuffled
        from engine.store.ballots import Ballot

        shown = shuffled(len(sides), seed)
        prompt = [{"role": "user", "content": self.text}]
        answers = [""] * len(sides)
        for place, number in enumerate(shown):
            with desk.models.use(sides[number].model) as backend:
                for piece in pieces(backend, sides[number], prompt, desk.cancel):
                    answers[number] += piece
                    desk.emit(SideDelta(side=place, text=piece))
            desk.cancel.check()
        number = desk.workspace.ballots.add(Ballot(prompt, [side.label for side in sides], [text.strip() for text in answers], shown, seed))
        return told(desk.workspace.ballots.get(str(number)), open_=self.open_)


class VersusRun(Work):
    """The job of `versus --on`: every side answers every row; then `ballot` goes through them."""

    verb = "versus-run"
    effect = "compute"
    words = ("sides", "on")
    completes = {"on": "datasets"}
    examples = ("versus-run smollm2,smollm2-tickets tickets --rows 20",)

    sides: str = Field(description="Two to four sides, with commas between them")
    on: str = Field(description="The dataset")
    split: str = Field("", description="Which split (test, or validation, or the first)")
    rows: int = Field(20, ge=0, description="How many rows; 0 for all")
    system: str = Field("", description="A system prompt for the sides that have none of their own")
    max_tokens: int = Field(200, ge=1, description="The longest answer, in tokens")
    seed: int = Field(0, ge=0, description="Which rows are drawn, and in which order the sides are shown")

    def title(self) -> str:
        return f"versus {self.sides} on {self.on}"

    def prepare(self, desk: Desk) -> VersusRun:
        from engine.commands.evaluation.evaluate import split_of

        sides_of(desk.workspace, self.sides, self.system, self.max_tokens, self.seed)
        return self.model_copy(update={"split": split_of(self.split, desk.workspace.datasets.get(self.on))})

    def work(self, job: JobContext) -> Result:
        from engine.evaluation.sides import prompts, run

        sides = sides_of(job.workspace, self.sides, self.system, self.max_tokens, self.seed)
        asked = prompts(job.workspace.datasets.get(self.on), self.split, self.rows, self.seed)
        numbers = run(job, sides, asked, self.seed)
        data = {"batch": job.id, "ballots": numbers, "sides": [side.label for side in sides], "dataset": self.on, "split": self.split}
        return Result(f"{len(numbers)} ballots wait for a vote: ballot --batch {job.id}", data, opens=f"versus:batch-{job.id}")


class BallotCommand(Now):
    """Show the next answers that wait for a vote, or one ballot by its number."""

    verb = "ballot"
    words = ("number",)
    completes = {"batch": "jobs"}
    examples = ("ballot", "ballot 12", "ballot --batch 7")

    number: str = Field("", description="Which ballot (the next that has no vote)")
    batch: str = Field("", description="Only those of this job")

    def run(self, desk: Desk) -> Result:
        found = desk.workspace.ballots.get(self.number) if self.number else desk.workspace.ballots.next(self.batch or None)
        if found is None:
            return Result("No ballot waits for a vote. `votes` counts them.", {"ballot": None})
        return told(found)


class Vote(Now):
    """Vote on a ballot: the number of the best answer as it is shown, tie or skip. Then the names are told."""

    verb = "vote"
    effect = "write"
    words = ("ballot", "which")
    examples = ("vote 12 2", "vote 12 tie", "vote 12 skip")

    ballot: str = Field(description="The ballot's number")
    which: str = Field(description="1 to 4, tie or skip")

    def run(self, desk: Desk) -> Result:
        ballots = desk.workspace.ballots
        found = ballots.get(self.ballot)
        which = self.which.lower()
        if which not in ("tie", "skip", *(str(n + 1) for n in range(len(found.sides)))):
            raise BitternError(f"“{self.which}” is no vote on ballot {found.id}.", f"Say 1 to {len(found.sides)}, tie or skip.")
        ballots.vote(found.id, which if which in ("tie", "skip") else str(found.shown[int(which) - 1]))
        return told(ballots.get(self.ballot))


class Votes(Now):
    """Count the votes: for each pair of sides the wins, ties and win rate, with its 95 % interval (Wilson; a tie counts half).

    --export writes what was preferred as JSONL: prompt, chosen, rejected.
    """

    verb = "votes"
    effect = "write"
    completes = {"batch": "jobs", "export": "files"}
    examples = ("votes", "votes --batch 7", "votes --export preferred.jsonl")

    batch: str = Field("", description="Only those of this job")
    export: str = Field("", description="Write the preferences to this file (.jsonl)")
    force: bool = Field(False, description="Replace the file if it is there")

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.tally import preferences, tally

        ballots = desk.workspace.ballots.all(self.batch or None)
        if self.export:
            return _exported(Path(self.export), preferences(ballots), force=self.force)
        pairs, rows, data = tally(ballots), [], []
        for pair in pairs:
            low, high = pair.interval()
            told = [pair.a, pair.b, pair.wins, pair.losses, pair.ties, f"{pair.rate:.0%}", f"{low:.0%} to {high:.0%}"]
            rows.append([str(value) for value in told])
            data.append({"a": pair.a, "b": pair.b, "wins": pair.wins, "losses": pair.losses, "ties": pair.ties,
                         "rate": round(pair.rate, 4), "low": round(low, 4), "high": round(high, 4)})  # fmt: skip
        waiting = sum(not ballot.vote for ballot in ballots)
        summary = (
            f"{sum(bool(ballot.vote) for ballot in ballots)} of {len(ballots)} ballots have a vote."
            if ballots
            else "There is no ballot yet: versus A,B TEXT"
        )
        table = Table(["a", "b", "a wins", "b wins", "ties", "a preferred", "95 %"], rows) if rows else None
        return Result(summary, {"pairs": data, "ballots": len(ballots), "waiting": waiting}, table)


def sides_of(workspace: Workspace, words: str, system: str, max_tokens: int, seed: int) -> list[Side]:
    """The sides that a word names. Raises ``BitternError`` for a wrong one, ``NotFound`` for a model or preset."""
    parts = [part.strip() for part in words.split(",") if part.strip()]
    if not 2 <= len(parts) <= 4:
        raise BitternError(f"“{words}” names {len(parts)} sides.", "Give two to four, with commas between them: versus smollm2,tuned TEXT")
    return [_side(workspace, part, system, max_tokens, seed) for part in parts]


def _side(workspace: Workspace, word: str, system: str, max_tokens: int, seed: int) -> Side:
    from engine.commands.talk.sampling import SetSampling
    from engine.evaluation.sides import Side

    head, *settings = word.split("+")
    name, _, preset = head.partition("@")
    record = workspace.models.get(name)
    found: dict[str, Any] = workspace.presets.get(preset) if preset else {"system": "", "sampling": {}}
    values: dict[str, Any] = {}
    for setting in settings:
        key, given, value = setting.partition("=")
        key = key.replace("-", "_")
        if not given or key not in SetSampling.model_fields or key in ("reset", "session"):
            raise BitternError(f"“{setting}” in “{word}” is no setting.", "For example: +temperature=0, +top-p=0.9, +max-tokens=60, +seed=1")
        values[key] = [value] if key == "stop" else value
    try:
        said = SetSampling(**values).onto(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise BitternError(f"“{word}”: {first['loc'][0]}: {first['msg']}.", "See `help sampling` for the settings and their bounds.") from None
    sampling = {"max_tokens": max_tokens, "seed": seed, **said["sampling"]}
    if "stop" in sampling:
        sampling["stop"] = tuple(sampling["stop"])
    return Side(word, record.name, said["system"] or system, sampling)


def told(ballot: Ballot, *, open_: bool = False) -> Result:
    """A ballot as it may be seen: the names only after the vote."""
    known = open_ or bool(ballot.vote)
    places: list[dict[str, Any]] = [
        {"place": place + 1, "answer": ballot.answers[side], **({"side": ballot.sides[side], "chosen": ballot.vote == str(side)} if known else {})}
        for place, side in enumerate(ballot.shown)
    ]
    body = "\n\n".join(
        f"[{item['place']}]{' ' + item['side'] if known else ''}{' (chosen)' if item.get('chosen') else ''}\n{item['answer']}" for item in places
    )
    asked = ballot.prompt[-1]["content"]
    data = {"ballot": ballot.id, "batch": ballot.batch, "prompt": ballot.prompt, "address": ballot.address, "places": places, "vote": ballot.vote,
            "seed": ballot.seed}  # fmt: skip
    if known:
        data["sides"] = ballot.sides
        # A side's number says nothing to who sees places.
        data["vote"] = str(ballot.shown.index(int(ballot.vote)) + 1) if ballot.vote.isdigit() else ballot.vote
    summary = f"Ballot {ballot.id}: {_short(asked)}" + ("" if ballot.vote else f"   vote {ballot.id} 1 … {len(ballot.sides)}, tie or skip")
    return Result(summary, data, body=body, opens=f"versus:{ballot.id}")


def _short(text: str) -> str:
    return " ".join(text[:SHOWN].split())


def _prepared(desk: Desk, asked: Versus, seed: int) -> VersusRun:
    given = VersusRun(sides=asked.sides, on=asked.on, split=asked.split, rows=asked.rows, system=asked.system, max_tokens=asked.max_tokens, seed=seed)
    return given.prepare(desk)


def _exported(file: Path, rows: list[dict[str, Any]], *, force: bool) -> Result:
    from engine.paths import write_atomic

    file = file.expanduser().absolute()
    if file.suffix != ".jsonl":
        raise DataError(f"“{file.name}” does not end in .jsonl.", "Preferences are written as JSONL.")
    if not file.parent.is_dir():
        raise NotFound(f"There is no folder {file.parent}.", "Make it first, or choose another.")
    if file.exists() and not force:
        raise DataError(f"{file} is there already.", "To replace it: --force")
    if not rows:
        raise DataError("No vote prefers one answer to another yet.", "Nothing was written. `ballot` shows the next that waits for a vote.")
    write_atomic(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return Result(f"{len(rows)} preferences are in {file}.", {"file": str(file), "rows": len(rows)})
