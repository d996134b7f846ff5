"""A training of any recipe, paused in one process and killed in a second, goes on in a third to the same losses as one that
nothing happened to; an evaluation and a judging that were killed ask no row twice.

A recipe joins with a line in ``CASES``, and a base or rows in ``BASES`` and ``ROWS`` where it needs others. The third process
is this one; the others are forked from a server with the heavy libraries loaded, so that a case takes seconds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from engine import events
from engine.engine import Engine
from engine.evaluation.answers import Answers
from engine.evaluation.classification import Classification
from engine.jobs import journal
from tests.fakes.encoder import encoder, reranker
from tests.fakes.follow import done, finish
from tests.fakes.marked import labelled_rows, scored_rows, tagged_rows
from tests.fakes.openai_server import openai_server
from tests.fakes.pairs import echo_rows, encoder_decoder, pair_rows
from tests.fakes.runs import run
from tests.fakes.tiny import bert, chat_model, instruction_rows, marked_answers, preferences, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEPS, PAUSED_AT, KILLED_AT = 24, 7, 12
"""A pause leaves a checkpoint; after the kill it goes on from 10, as every fifth step leaves one."""


class Case(NamedTuple):
    """A recipe, the base and the rows that it is tried with, and what else its line says."""

    recipe: str
    base: str
    rows: str
    words: str = ""


def labelled(count: int) -> str:
    """JSON lines with a text and one of three labels."""
    words = ("heron", "reed", "pond")
    return "".join(json.dumps({"text": f"a {words[n % 3]} by {words[n % 2]} {n}", "label": words[n % 3]}) + "\n" for n in range(count))


def numbered(count: int) -> str:
    """JSON lines with a text and a label as a head has it that was given no names."""
    return "".join(json.dumps({"text": f"a heron by {n}", "label": f"LABEL_{n % 3}"}) + "\n" for n in range(count))


BASES: dict[str, Callable[[Path], Path]] = {
    "chat": chat_model, "bert": bert, "encoder": encoder, "t5": encoder_decoder, "labeller": lambda folder: reranker(folder, 3),
}  # fmt: skip
ROWS: dict[str, Callable[[int], str]] = {
    "instructions": instruction_rows, "labels": labelled, "preferences": preferences, "tags": tagged_rows, "several": labelled_rows,
    "scores": scored_rows, "pairs": pair_rows, "echo": echo_rows, "numbered": numbered, "marked": marked_answers, "texts": texts,
}  # fmt: skip
CASES = [
    Case("sft", "chat", "instructions"),
    Case("dpo", "chat", "preferences"),
    Case("kto", "chat", "marked"),
    Case("pretrain", "chat", "texts", "--max-length 64"),
    Case("tag", "bert", "tags", "--method lora"),
    Case("multilabel", "bert", "several"),
    Case("regress", "bert", "scores"),
    Case("embed", "encoder", "pairs", "--batch-size 8 --grad-accumulation 2"),
    Case("rerank", "encoder", "pairs"),
    Case("seq2seq", "t5", "echo"),
    Case("classify", "bert", "labels", "--method lora"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with every base and dataset, and a warm server to fork from."""
    from multiprocessing import forkserver

    # One that an earlier test began is bare: each child would load all the libraries anew.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    multiprocessing.set_forkserver_preload(["engine.jobs.warm", __name__])
    forkserver.ensure_running()
    root = tmp_path_factory.mktemp("kill")
    before = os.environ.get("BITTERN_RUNNER")
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(root / "home", everything=True)
    try:
        for name, made in BASES.items():
            finish(opened, opened.run(opened.parse(f"pull {made(root / name)} --name {name}")).data["job"])
        for name, written in ROWS.items():
            (root / f"{name}.jsonl").write_text(written(80), encoding="utf-8")
            finish(opened, opened.run(opened.parse(f"add {root / name}.jsonl --name {name}")).data["job"])
    finally:
        opened.close(5)
    yield root / "home"
    if before is None:
        del os.environ["BITTERN_RUNNER"]
    else:
        os.environ["BITTERN_RUNNER"] = before


def go(home: Path, line: str, metric: str, step: int, *, kill: bool) -> None:
    """Run ``line`` in a process's own engine, until a figure of ``step`` steps is told. Then it pauses, or kills its own
    process: seen from another, the step would come too late on a busy machine."""
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(home)

    def at_step(event: events.Event) -> None:
        if not isinstance(event, events.JobMetric) or event.name != metric or event.step < step:
            return
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        opened.run(opened.parse(f"pause {event.job}"))
        while not opened.queue._tokens[event.job].how:
            time.sleep(0.01)

    opened.subscribe(at_step)
    finish(opened, opened.run(opened.parse(line)).data["job"], seconds=100, state="paused")
    opened.close(5)


def ends(home: Path, line: str, metric: str, step: int, *, kill: bool) -> int:
    """:func:`go` in another process; returns how that ended."""
    context: Any = multiprocessing.get_context("forkserver")
    process = context.Process(target=go, args=(home, line, metric, step), kwargs={"kill": kill}, daemon=True)
    process.start()
    process.join(100)
    return int(process.exitcode)


def killed_in(opened: Engine, line: str, metric: str, step: int) -> str:
    """The job that ``line`` starts or resumes in a process that is killed at that step; returns its number."""
    assert ends(opened.workspace.paths.root, line, metric, step, kill=True) == -signal.SIGKILL
    verb, _, word = line.partition(" ")
    killed = word if verb == "resume" else max((job.id for job in opened.jobs()), key=int)
    deadline = time.monotonic() + 60
    # The server that it was forked from has yet to take note of its end.
    while opened.job(killed).state == "running":
        assert time.monotonic() < deadline
        opened.workspace.jobs.reap()
        time.sleep(0.02)
    assert opened.job(killed).state == "interrupted"
    return killed


def losses(home: Path, job: str) -> dict[tuple[str, int], float]:
    """Losses and gradient norms at each step, held-out losses too; where a step was done twice, both must agree."""
    found: dict[tuple[str, int], float] = {}
    for event, _ in journal.read(home / "jobs" / job.zfill(4) / "events.jsonl"):
        if isinstance(event, events.JobMetric) and event.name in ("loss", "grad_norm", "eval_loss"):
            key = (event.name, event.step)
            assert event.value == pytest.approx(found.get(key, event.value), abs=1e-6)
            found[key] = event.value
    return found


def job_of(opened: Engine, name: str) -> str:
    return next((job.id for job in opened.workspace.jobs.all() if job.command.get("name") == name), "")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recipe}-{case.base}{case.words.replace(' ', '')}")
def test_a_killed_training_resumes_to_the_same_losses(place: Path, case: Case) -> None:
    tail = f"--max-steps {STEPS} --save-steps 5 --eval-steps 10 --seed 7 --recipe {case.recipe} --allow leak {case.words}"
    train = f"train {case.base} --on {case.rows} {tail}"
    mark = f"{case.recipe}-{case.base}-{CASES.index(case)}"
    # It runs what it is told to alone: a job of the other process is not its to claim.
    opened = Engine(place)
    try:
        assert ends(place, f"{train} --name killed-{mark}", "loss", PAUSED_AT, kill=False) == 0
        killed = job_of(opened, f"killed-{mark}")
        assert opened.job(killed).state == "paused"
        assert max(step for _, step in losses(place, killed)) < KILLED_AT
        killed_in(opened, f"resume {killed}", "loss", KILLED_AT)
        assert opened.workspace.models.find(f"killed-{mark}") is None, "nothing half-made is on the list"

        opened.run(opened.parse(f"resume {killed}"))
        finish(opened, killed, seconds=120)
        whole = opened.run(opened.parse(f"{train} --name whole-{mark}")).data["job"]
        finish(opened, whole, seconds=120)
    finally:
        opened.close(5)
    expected, got = losses(place, whole), losses(place, killed)
    assert {step for name, step in expected if name == "loss"} == set(range(1, STEPS + 1))
    assert sorted(got) == sorted(expected)
    worst = max(abs(got[key] - expected[key]) for key in expected)
    assert worst <= 1e-6, f"losses differ by {worst}"
    assert any(isinstance(event, events.JobLog) and "Going on from step" in event.text for event, _ in journal.read(place / "jobs" / killed.zfill(4) / "events.jsonl"))  # fmt: skip


EVALUATIONS = {
    "generation": "evaluate chat --on instructions --split train --rows 12 --batch-size 4 --max-tokens 6",
    "classification": "evaluate labeller --on numbered --split train --rows 12 --batch-size 4",
}


@pytest.mark.slow
@pytest.mark.parametrize("task", EVALUATIONS)
def test_a_killed_evaluation_asks_no_row_twice(place: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Engine(place)
    asked: list[dict[str, Any]] = []
    for kind in (Answers, Classification):

        def counted(self: Any, rows: Any, token: Any, predict: Any = kind.predict) -> Any:
            asked.extend(rows)
            return predict(self, rows, token)

        monkeypatch.setattr(kind, "predict", counted)
    try:
        killed = killed_in(opened, EVALUATIONS[task], "correct", 8)
        kept = (opened.workspace.paths.job(killed) / "predictions.jsonl").read_text("utf-8").splitlines()
        opened.run(opened.parse(f"resume {killed}"))
        finish(opened, killed, seconds=120)
        assert (len(kept), len(asked)) == (8, 4)
        resumed, whole = opened.result(killed).data, done(opened, EVALUATIONS[task])
        assert len(asked) == 4 + 12
    finally:
        opened.close(5)
    assert resumed["metrics"] == whole["metrics"] and resumed["rows"] == 12
    lines_, expected = (Path(data["predictions"]).read_text("utf-8").splitlines() for data in (resumed, whole))
    assert lines_ == expected
    assert set(kept) < set(lines_)


@pytest.mark.slow
def test_a_killed_judging_asks_about_no_pair_twice(place: Path) -> None:
    with openai_server() as server:
        server.answer = lambda body: '{"verdict": "1"}' if "heron" in body["messages"][0]["content"] else '{"verdict": "tie"}'
        opened = Engine(place)
        try:
            opened.run(opened.parse(f"connect judge {server.url} --model echo"))
            shown = [{"row": at, "address": f"t/test/{at}", "prompt": f"{('heron', 'reed')[at % 2]} {at}", "reference": ""} for at in range(8)]
            one, two = (run(opened, name, [{**row, "prediction": name} for row in shown], task="generation", metrics={}) for name in ("one", "two"))
            killed = killed_in(opened, f"judge {one} {two} --by judge", "same in both orders", 5)
            assert len(server.requests) == 10
            opened.run(opened.parse(f"resume {killed}"))
            finish(opened, killed)
            asked = [json.dumps(body["messages"]) for body in server.requests]
            assert len(asked) == len(set(asked)) == 16
            resumed, whole = opened.result(killed).data, done(opened, f"judge {one} {two} --by judge")
        finally:
            opened.close(5)
    assert resumed["position"]["changed"] == 4 and resumed["pairs"] == whole["pairs"] and resumed["position"] == whole["position"]
    lines_, expected = (Path(data["verdicts"]).read_text("utf-8") for data in (resumed, whole))
    assert lines_ == expected
