"""A training of any recipe, paused in one process and killed in a second, goes on in a third to the same losses as one that
nothing happened to.

A recipe joins with a line in ``CASES``, and a base or rows in ``BASES`` and ``ROWS`` where it needs others. The third process
is this one; the others are forked from a server with the heavy libraries loaded, so that a case takes seconds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from engine import events
from engine.engine import Engine
from engine.jobs import journal
from tests.fakes.encoder import encoder
from tests.fakes.follow import finish
from tests.fakes.marked import labelled_rows, scored_rows, tagged_rows
from tests.fakes.pairs import echo_rows, encoder_decoder, pair_rows
from tests.fakes.tiny import bert, chat_model, instruction_rows, preferences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


BASES: dict[str, Callable[[Path], Path]] = {"chat": chat_model, "bert": bert, "encoder": encoder, "t5": encoder_decoder}
ROWS: dict[str, Callable[[int], str]] = {
    "instructions": instruction_rows, "labels": labelled, "preferences": preferences, "tags": tagged_rows, "several": labelled_rows,
    "scores": scored_rows, "pairs": pair_rows, "echo": echo_rows,
}  # fmt: skip
CASES = [
    Case("sft", "chat", "instructions"),
    Case("dpo", "chat", "preferences"),
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
    """A workspace with every base and dataset of ``CASES``, and a warm server to fork from."""
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(["engine.jobs.warm"])
    forkserver.ensure_running()
    root = tmp_path_factory.mktemp("kill")
    before = os.environ.get("BITTERN_RUNNER")
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(root / "home", everything=True)
    try:
        for name in {case.base for case in CASES}:
            finish(opened, opened.run(opened.parse(f"pull {BASES[name](root / name)} --name {name}")).data["job"])
        for name in {case.rows for case in CASES}:
            (root / f"{name}.jsonl").write_text(ROWS[name](80), encoding="utf-8")
            finish(opened, opened.run(opened.parse(f"add {root / name}.jsonl --name {name}")).data["job"])
    finally:
        opened.close(5)
    yield root / "home"
    if before is None:
        del os.environ["BITTERN_RUNNER"]
    else:
        os.environ["BITTERN_RUNNER"] = before


def go(home: Path, line: str, step: int, *, kill: bool) -> None:
    """Run ``line`` in a process's own engine, until the training has done ``step`` steps. Then it pauses, or kills its own
    process: seen from another, the step would come too late on a busy machine."""
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(home)

    def at_step(event: events.Event) -> None:
        if not isinstance(event, events.JobMetric) or event.name != "loss" or event.step < step:
            return
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        opened.run(opened.parse(f"pause {event.job}"))
        while not opened.queue._tokens[event.job].how:
            time.sleep(0.01)

    opened.subscribe(at_step)
    finish(opened, opened.run(opened.parse(line)).data["job"], seconds=100, state="paused")
    opened.close(5)


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
    context: Any = multiprocessing.get_context("forkserver")
    # It runs what it is told to alone: a job of the other process is not its to claim.
    opened = Engine(place)

    def ends(line: str, step: int, *, kill: bool) -> int:
        process = context.Process(target=go, args=(place, line, step), kwargs={"kill": kill}, daemon=True)
        process.start()
        process.join(100)
        return int(process.exitcode)

    try:
        assert ends(f"{train} --name killed-{mark}", PAUSED_AT, kill=False) == 0
        killed = job_of(opened, f"killed-{mark}")
        assert opened.job(killed).state == "paused"
        assert max(step for _, step in losses(place, killed)) < KILLED_AT
        assert ends(f"resume {killed}", KILLED_AT, kill=True) == -signal.SIGKILL
        deadline = time.monotonic() + 20
        # The server that it was forked from has yet to take note of its end.
        while opened.job(killed).state == "running":
            assert time.monotonic() < deadline
            opened.workspace.jobs.reap()
            time.sleep(0.02)
        assert opened.job(killed).state == "interrupted"
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
