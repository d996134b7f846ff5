"""``kill -9`` in the middle of a training, then ``resume``: the same losses as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from engine import events
from engine.jobs import journal
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 24


def bittern(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "tui", "--workspace", str(home), "--quiet", *words]


def losses(home: Path, job: str) -> dict[int, float]:
    """The training loss at each step; where a step was done twice, both must agree."""
    found: dict[int, float] = {}
    for event, _ in journal.read(home / "jobs" / job.zfill(4) / "events.jsonl"):
        if isinstance(event, events.JobMetric) and event.name == "loss":
            assert event.value == pytest.approx(found.get(event.step, event.value), abs=1e-6)
            found[event.step] = event.value
    return found


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_losses(tiny_home: Path) -> None:
    train = ("train", "tiny", "--on", "lines", "--max-steps", str(STEPS), "--save-steps", "5", "--eval-steps", "10", "--seed", "7")
    subprocess.run(bittern(tiny_home, *train, "--name", "whole"), check=True, timeout=180)
    expected = losses(tiny_home, "1")
    assert sorted(expected) == list(range(1, STEPS + 1))

    process = subprocess.Popen(bittern(tiny_home, *train, "--name", "killed"), start_new_session=True)
    deadline = time.monotonic() + 150
    while max(losses(tiny_home, "2"), default=0) < 12:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    workspace = Workspace(tiny_home)
    workspace.jobs.reap()
    assert workspace.jobs.get("2").state == "interrupted"
    assert workspace.models.find("killed") is None, "nothing half-made is on the list"
    workspace.close()

    done = subprocess.run(bittern(tiny_home, "--json", "resume", "2"), check=True, timeout=180, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "done"
    got = losses(tiny_home, "2")
    assert sorted(got) == sorted(expected)
    worst = max(abs(got[step] - expected[step]) for step in expected)
    assert worst <= 1e-6, f"losses differ by {worst}"
