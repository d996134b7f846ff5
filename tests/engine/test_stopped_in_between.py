"""Jobs that are cancelled in the middle and taken up again, and two processes that vote at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.events import JobProgress
from engine.store.ballots import Ballot
from engine.store.workspace import Workspace
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.events import Event


@pytest.fixture
def opened(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    yield engine
    engine.close(5)


def cancelled_when(engine: Engine, line: str, here: Callable[[JobProgress], bool]) -> str:
    """Start a job and cancel it at the first progress that ``here`` is true of; returns its number once it has stopped."""
    asked: list[str] = []

    def heard(event: Event) -> None:
        if isinstance(event, JobProgress) and not asked and here(event):
            asked.append(event.job)
            engine.run(engine.parse(f"cancel {event.job}"))

    unsubscribe = engine.subscribe(heard)
    job = engine.run(engine.parse(line)).data["job"]
    finish(engine, job, state="cancelled")
    unsubscribe()
    assert asked == [job]
    return str(job)


@pytest.mark.slow
def test_a_comparison_that_was_cancelled_asks_only_what_has_no_answer_yet(opened: Engine) -> None:
    line = "versus tiny+temperature=0,tiny+temperature=1 --on lines --split train --rows 10 --seed 1 --max-tokens 8"
    job = cancelled_when(opened, line, lambda event: event.unit == "answers" and event.done >= 3)
    kept = opened.workspace.paths.job(job) / "answers.jsonl"
    before = kept.read_text("utf-8").splitlines()
    assert 3 <= len(before) < 20, "it stopped in the middle"
    assert not opened.workspace.ballots.all(job), "half a comparison is not voted on"
    opened.run(opened.parse(f"resume {job}"))
    finish(opened, job)
    after = kept.read_text("utf-8").splitlines()
    assert after[: len(before)] == before
    assert sorted((one["side"], one["prompt"]) for one in map(json.loads, after)) == [(side, row) for side in range(2) for row in range(10)], (
        "each was asked once"
    )
    ballots = opened.workspace.ballots.all(job)
    assert len(ballots) == 10 == len(opened.result(job).data["ballots"])
    answers = {(one["side"], one["prompt"]): one["answer"] for one in map(json.loads, after)}
    assert [ballot.answers for ballot in ballots] == [[answers[0, row], answers[1, row]] for row in range(10)]


def test_a_tokenizer_whose_training_was_cancelled_leaves_nothing_and_can_be_trained_after_all(opened: Engine, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("text\n" + "".join(f"the heron number {n} waits at reed {n * 7 % 1000}\n" for n in range(6000)), "utf-8")
    finish(opened, opened.run(opened.parse(f"add {file} --name many --test 0")).data["job"])
    job = cancelled_when(opened, "train-tokenizer many --vocab-size 400 --name words", lambda event: event.note == "reading")
    assert opened.workspace.models.find("words") is None
    assert not [entry for entry in opened.workspace.paths.models.iterdir() if "words" in entry.name]
    opened.run(opened.parse(f"resume {job}"))
    finish(opened, job)
    assert opened.workspace.models.get("words").facts["rows"] == 5400
    assert opened.run(opened.parse("tokens --model words heron")).data["tokenizers"][0]["count"] < 5


VOTER = """
import sys
from engine.store.workspace import Workspace
workspace = Workspace(__import__("pathlib").Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2]), 61, 2):
    workspace.ballots.vote(number, sys.argv[3])
workspace.close()
"""


def test_two_processes_that_vote_at_once_lose_no_vote(home: Path) -> None:
    workspace = Workspace(home)
    prompt = [{"role": "user", "content": "q"}]
    for seed in range(60):
        workspace.ballots.add(Ballot(prompt, ["a", "b"], ["x", "y"], [0, 1], seed))
    voters = [
        subprocess.Popen([sys.executable, "-c", VOTER, str(home), first, vote], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for first, vote in (("1", "0"), ("2", "1"))
    ]
    for voter in voters:
        assert voter.stdout is not None and voter.stdout.readline() == "ready\n"
    for voter in voters:
        voter.communicate("go\n", timeout=60)
        assert voter.returncode == 0
    found = workspace.ballots.all()
    assert [ballot.vote for ballot in found] == ["0", "1"] * 30 and all(ballot.voted for ballot in found)
    assert workspace.ballots.next() is None
    workspace.close()
