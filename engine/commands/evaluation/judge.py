"""Commands about a model as a judge: judge, verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import BitternError, DataError, NotFound

if TYPE_CHECKING:
    from engine.evaluation.judged import Pair
    from engine.jobs.context import JobContext
    from engine.results import Result
    from engine.store.jobs import JobRecord
    from engine.store.workspace import Workspace

TASK = "generation"
"""What a run must have measured: the others have no answers in words."""
LONGEST = 20_000
"""Characters of a rubric."""


class Judge(Work):
    """Let a model judge answers in pairs by a rubric, and see how well people agree with it.

    Name two runs of `evaluate` (or the models that were measured), or take the ballots of `versus` with --batch or --voted.
    Each pair is asked twice, with the answers in both orders: one wins only where it wins in both. Every verdict is kept.
    With one run, its answers are scored from 1 to 5. `verdicts` shows the figures again, with the votes of then.
    """

    verb = "judge"
    effect = "compute"
    words = ("a", "b")
    examples = (
        "judge smollm2 smollm2-tickets --by smollm2",
        "judge 3 4 --by served --rubric rubric.txt --reference",
        "judge --batch 7 --by served --reasons",
        "judge --voted --by served",
        "judge 4 --by served",
    )
    completes = {"a": "runs", "b": "runs", "by": "models", "batch": "jobs", "rubric": "files"}

    a: str = Field("", description="A run's number or a model's name")
    b: str = Field("", description="Another one; left out, the answers of the first are scored from 1 to 5")
    by: str = Field("", description="The judge: a model or an endpoint (the model in use)")
    batch: str = Field("", description="Judge the ballots of this job of versus instead")
    voted: bool = Field(False, description="Judge the ballots that people have voted on: how far is the judge to be trusted?")
    rubric: str = Field("", description="What counts: a text, or a file that holds it (a plain one about being right and to the point)")
    reference: bool = Field(False, description="Show the judge the dataset's own answer too")
    reasons: bool = Field(False, description="Let it say why before it says which: slower, and better from a large model")
    rows: int = Field(100, ge=0, description="How many rows or ballots, drawn with the seed; 0 for all")
    seed: int = Field(0, ge=0, description="Which rows are drawn")
    max_tokens: int = Field(512, ge=8, description="The longest word of the judge, in tokens, thoughts included")
    ballots: int = Field(0, ge=0, description="Put so many of the pairs before people too: ballot --batch JOB")

    def title(self) -> str:
        what = f"the ballots of job {self.batch}" if self.batch else "voted ballots" if self.voted else " ".join(filter(None, (self.a, self.b)))
        return f"judge {what} by {self.by}".strip()

    def prepare(self, desk: Desk) -> Judge:
        sources = [self.a != "", self.batch != "", self.voted]
        if sum(sources) != 1:
            raise BitternError(
                "There is nothing to judge." if not any(sources) else "Runs, --batch and --voted are three things to judge.",
                "Say one of them: judge RUN RUN, judge --batch JOB, or judge --voted.",
            )
        if self.ballots and not self.b:
            raise BitternError("Only pairs out of two runs are put before people.", "Ballots wait for votes as they are: `ballot`.")
        runs = self._runs(desk.workspace)
        update = {"by": desk.models.record(self.by).name, "rubric": rubric_of(self.rubric)}
        ready = self.model_copy(update={**update, **dict(zip(("a", "b"), runs, strict=False))})
        if not ready.pairs(desk.workspace):
            what = f"Job {self.batch} has written no ballots" if self.batch else "No ballot has a vote"
            raise DataError(f"{what}.", "`versus A,B --on DATASET` writes them; `ballot` shows the next that waits for a vote.")
        return ready

    def _runs(self, workspace: Workspace) -> list[str]:
        """The numbers of the runs that are meant. Raises ``NotFound``."""
        from engine.commands.evaluation.compare import chosen, runs_of

        if self.b:
            return [run.id for run in chosen(workspace, [self.a, self.b], TASK)]
        return [runs_of(workspace, self.a, TASK)[0].id] if self.a else []

    def pairs(self, workspace: Workspace) -> list[Pair]:
        """What is judged; with one run both of a pair are the same. Raises ``DataError``, ``NotFound``."""
        from engine.commands.evaluation.compare import names_of
        from engine.evaluation.judged import of_ballots, of_runs

        if self.a:
            runs = [workspace.runs.get(number) for number in (self.a, self.b or self.a)]
            names = names_of(runs) if self.b else [runs[0].model] * 2
            found = of_runs(runs, (names[0], names[1]), self.rows, self.seed)
            return found if self.reference else [replace(pair, reference="") for pair in found]
        ballots = workspace.ballots.all(self.batch or None)
        return of_ballots([ballot for ballot in ballots if self.batch or ballot.vote not in ("", "skip")], self.rows, self.seed)

    def work(self, job: JobContext) -> Result:
        from engine.evaluation.judging import RUBRIC, SCORING, go_through

        single, workspace = bool(self.a and not self.b), job.workspace
        pairs = self.pairs(workspace)
        if self.by in {side.partition("@")[0].partition("+")[0].partition(" (run ")[0] for pair in pairs for side in pair.sides}:
            job.log(f"{self.by} judges its own answers: judges prefer what they would have said themselves.", "warning")
        how = {"rubric": self.rubric or (SCORING if single else RUBRIC), "reasons": self.reasons, "max_tokens": self.max_tokens}
        rows = go_through(job, self.by, pairs, verdicts_of(workspace, job.id), how, single=single)
        if self.ballots:
            _before_people(job, rows, self.ballots, self.seed)
        return figures(workspace, job.id, self, rows)


class Verdicts(Now):
    """Show what a judge said: the figures with the votes of now, or the pairs one by one.

    --show changed: where the order of the answers decided; against: where people said otherwise; all: every one.
    """

    verb = "verdicts"
    words = ("job",)
    examples = ("verdicts", "verdicts 9", "verdicts 9 --show against")
    completes = {"job": "jobs"}

    job: str = Field("", description="The job of `judge` (all of them are listed)")
    show: Literal["figures", "changed", "against", "all"] = Field("figures", description="Figures, or which of the pairs")
    count: int = Field(20, ge=1, description="How many pairs at the most")

    def run(self, desk: Desk) -> Result:
        from engine.commands.evaluation.told_verdicts import listed, one_by_one

        workspace = desk.workspace
        if not self.job:
            return listed([job for job in workspace.jobs.all() if job.verb == Judge.verb and verdicts_of(workspace, job.id).is_file()])
        record = workspace.jobs.get(self.job)
        asked, rows = judged(workspace, record)
        if self.show == "figures":
            # The figures were asked for: what waits for votes is named, and not opened over them.
            return replace(figures(workspace, record.id, asked, rows), opens=f"job:{record.id}")
        return one_by_one(workspace, rows, self.show, self.count)


def judged(workspace: Workspace, record: JobRecord) -> tuple[Judge, list[dict[str, Any]]]:
    """A job's Command and what it has judged so far. Raises ``NotFound``."""
    from engine.commands.registry import restore
    from engine.evaluation import kept

    if record.verb != Judge.verb:
        raise NotFound(f"Job {record.id} is of `{record.verb}`: it has no verdicts.", "`verdicts` lists the jobs that have.")
    rows = kept.read(verdicts_of(workspace, record.id))
    if not rows:
        raise NotFound(f"Job {record.id} has judged nothing yet.", f"Follow it: job {record.id}")
    asked = restore(record.verb, record.command)
    assert isinstance(asked, Judge)  # noqa: S101 (by its verb)
    return asked, rows


def figures(workspace: Workspace, job: str, asked: Judge, rows: list[dict[str, Any]]) -> Result:
    """The figures of a judging, as an answer."""
    from engine.commands.evaluation.told_verdicts import compared, scored

    ballots = bool(asked.ballots and workspace.ballots.all(job))
    data: dict[str, Any] = {
        "job": job, "judge": asked.by, "rubric": asked.rubric, "judged": len(rows), "asked": sum(row["asked"] for row in rows),
        "verdicts": str(verdicts_of(workspace, job)), "batch": job if ballots else asked.batch,
    }  # fmt: skip
    found = scored(data, rows) if asked.a and not asked.b else compared(workspace, data, rows)
    waits = ballots and workspace.ballots.next(job) is not None
    more = f" People may judge too: ballot --batch {job}" if waits else ""
    return replace(found, summary=found.summary + more, opens=f"versus:batch-{job}" if waits else f"job:{job}")


def verdicts_of(workspace: Workspace, job: str) -> Path:
    """Where a job keeps what its judge said, a row a pair."""
    return workspace.paths.runs / f"{job}-verdicts.jsonl"


def rubric_of(said: str) -> str:
    """A rubric's text, out of the file where one is named. Raises ``NotFound``, ``DataError``."""
    if not said.strip():
        return ""
    file = Path(said).expanduser()
    named = len(said) < 255 and "\n" not in said and (file.is_file() or (" " not in said and file.suffix in (".txt", ".md")))
    if not named:
        text = said
    elif not file.is_file():
        raise NotFound(f"There is no file {file}.", "Name one that is there, or write the rubric itself, in quotes.")
    else:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file} can't be read as text: {error}", "A rubric is a text file in UTF-8.") from None
    if not text.strip():
        raise DataError(f"The rubric in {file} is empty.", "Write down what counts.")
    if len(text) > LONGEST:
        raise DataError(f"The rubric has {len(text):,} characters.", f"A judge reads it with every pair: {LONGEST:,} are the most.")
    return text.strip()


def _before_people(job: JobContext, rows: list[dict[str, Any]], count: int, seed: int) -> None:
    """Ballots of ``count`` pairs with different answers, for people to vote on blindly; written once."""
    from engine.evaluation.judged import drawn
    from engine.evaluation.tally import shuffled
    from engine.store.ballots import Ballot

    job.workspace.ballots.forget(job.id)
    for number, row in enumerate(drawn([row for row in rows if row["answer_a"] != row["answer_b"]], count, seed)):
        job.workspace.ballots.add(
            Ballot([{"role": "user", "content": row["prompt"]}], [row["a"], row["b"]], [row["answer_a"], row["answer_b"]],
                   shuffled(2, seed + number), seed + number, job.id, row["key"])
        )  # fmt: skip
    job.changed("ballots", job.id)
