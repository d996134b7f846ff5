"""The queue: order, stops, crashes, leases, two processes on one workspace."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from engine import events
from engine.bus import Bus
from engine.errors import JobError, NotFound
from engine.jobs import journal, queue
from engine.jobs.queue import JobQueue
from engine.paths import write_json
from engine.settings import Settings
from engine.store.workspace import Workspace
from tests.fakes.work import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOADER = "tests.fakes.work:restore"


class House:
    """A workspace with a running queue, and what it said."""

    def __init__(self, root: Path, runner: str = "thread", *, everything: bool = True) -> None:
        self.workspace = Workspace(root, Settings(runner=runner))
        self.heard: list[events.Event] = []
        bus = Bus()
        bus.subscribe(self.heard.append)
        self.queue = JobQueue(self.workspace, bus, LOADER, everything=everything)

    def until(self, job: str, *states: str, seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.workspace.jobs.get(job).state
            if state in states:
                return state
            time.sleep(0.01)
        raise AssertionError(f"job {job} is {self.workspace.jobs.get(job).state}, not {states}")

    def result(self, job: str) -> dict[str, object]:
        return json.loads((self.workspace.paths.job(job) / "result.json").read_text())

    def close(self) -> None:
        self.queue.close(10)
        self.workspace.close()


@pytest.fixture
def houses(home: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**options: object) -> House:
        made.append(House(home, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for house in made:
        house.close()


def test_a_job_runs_and_everything_it_says_is_on_disk(houses: Callable[..., House]) -> None:
    house = houses()
    job = house.queue.submit(Count(upto=5)).id
    house.queue.start()
    house.until(job, "done")
    assert house.result(job)["summary"] == "counted to 5"
    time.sleep(0.1)
    written = [event for event, _ in journal.read(house.workspace.paths.job(job) / "events.jsonl")]
    assert [type(event).__name__ for event in written][0] == "JobStarted"
    assert isinstance(written[-1], events.JobFinished)
    assert [event.seq for event in written] == list(range(1, len(written) + 1))
    assert [event.value for event in written if isinstance(event, events.JobMetric)] == [1, 4, 9, 16, 25]
    assert [event for event in house.heard if event.job == job and event.seq] == written


def test_a_job_is_told_of_before_it_begins(houses: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> None:
    house = houses()
    house.queue.start()

    def slowly(file: Path, data: object) -> None:
        house.queue.poke()  # the workers are awake, and look at the table
        time.sleep(0.05)
        write_json(file, data)

    monkeypatch.setattr(queue, "write_json", slowly)
    job = house.queue.submit(Count(upto=1)).id
    house.until(job, "done")
    assert [type(event) for event in house.heard if event.job == job][:2] == [events.JobQueued, events.JobStarted]


def test_one_compute_job_at_a_time_in_the_order_of_the_queue(houses: Callable[..., House]) -> None:
    house = houses()
    first, second, third = (house.queue.submit(Count(upto=2, pause=0.02)).id for _ in range(3))
    house.workspace.jobs.move(third, "front")
    house.queue.start()
    house.until(second, "done")
    deadline = time.monotonic() + 20
    # The table knows a moment before it is told.
    while not any(isinstance(event, events.JobFinished) and event.job == second for event in house.heard):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    starts = [event.job for event in house.heard if isinstance(event, events.JobStarted)]
    assert starts == [third, first, second]
    order = [event.job for event in house.heard if isinstance(event, (events.JobStarted, events.JobFinished))]
    assert order == [third, third, first, first, second, second]


def test_move_up_and_down(houses: Callable[..., House]) -> None:
    house = houses()
    ids = [house.queue.submit(Count()).id for _ in range(3)]
    house.workspace.jobs.move(ids[2], "up")
    house.workspace.jobs.move(ids[0], "down")
    queued = sorted(house.workspace.jobs.all(), key=lambda record: record.position)
    assert [record.id for record in queued] == [ids[2], ids[0], ids[1]]
    house.workspace.jobs.ask(ids[0], "cancel")
    with pytest.raises(JobError, match="only a queued job"):
        house.workspace.jobs.move(ids[0], "front")


def test_pause_and_resume_go_on_from_the_checkpoint(houses: Callable[..., House]) -> None:
    house = houses()
    job = house.queue.submit(Count(upto=60, pause=0.02)).id
    house.queue.start()
    house.until(job, "running")
    time.sleep(0.15)
    house.workspace.jobs.ask(job, "pause")
    house.queue.poke()
    house.until(job, "paused")
    done = json.loads((house.workspace.paths.job(job) / "state.json").read_text())["done"]
    assert 0 < done < 60
    house.queue.resume(job)
    house.until(job, "done")
    time.sleep(0.1)
    steps = [event.step for event in house.heard if isinstance(event, events.JobMetric)]
    assert steps == list(range(1, 61)), "no step was done twice or left out"
    assert [event.resumed for event in house.heard if isinstance(event, events.JobStarted)] == [False, True]


def test_cancel_stops_within_a_step_and_can_be_taken_back(houses: Callable[..., House]) -> None:
    house = houses()
    job = house.queue.submit(Count(upto=1000, pause=0.02)).id
    house.queue.start()
    house.until(job, "running")
    house.workspace.jobs.ask(job, "cancel")
    house.queue.poke()
    began = time.monotonic()
    house.until(job, "cancelled")
    assert time.monotonic() - began < 5
    with pytest.raises(JobError, match="nothing to cancel"):
        house.workspace.jobs.ask(job, "cancel")
    assert house.workspace.jobs.requeue(job).state == "queued"


def test_a_job_waits_for_those_it_needs_and_falls_with_them(houses: Callable[..., House]) -> None:
    house = houses()
    bad = house.queue.submit(Count(upto=1, end="error")).id
    good = house.queue.submit(Count(upto=1)).id
    needs_bad = house.queue.submit(Count(upto=1), after=[bad]).id
    needs_good = house.queue.submit(Count(upto=1), after=[good]).id
    house.queue.start()
    house.until(needs_good, "done")
    house.until(needs_bad, "failed")
    record = house.workspace.jobs.get(needs_bad)
    assert f"Job {bad}" in record.error["message"]
    assert house.workspace.jobs.get(bad).error == {
        "error": "DataError",
        "title": "This data can't be used",
        "message": "row 3 is bad.",
        "hint": "Mend row 3.",
    }


@pytest.mark.parametrize("runner", ["thread", "child"])
def test_a_bug_is_told_and_not_shown_as_a_traceback(houses: Callable[..., House], runner: str) -> None:
    house = houses(runner=runner)
    job = house.queue.submit(Count(upto=1, end="bug")).id
    house.queue.start()
    house.until(job, "failed")
    error = house.workspace.jobs.get(job).error
    assert error["message"] == "ZeroDivisionError: a bug"
    assert "Traceback" not in str(error)


def test_a_child_does_the_heavy_work_at_low_priority(houses: Callable[..., House]) -> None:
    house = houses(runner="child")
    job = house.queue.submit(Count(upto=3)).id
    house.queue.start()
    house.until(job, "done")
    data = house.result(job)["data"]
    assert data["pid"] != os.getpid()  # type: ignore[index]
    assert data["nice"] == 10  # type: ignore[index]
    output = (house.workspace.paths.job(job) / "output.log").read_text()
    assert "native noise" in output, "what libraries print goes to the job's log, not to the screen"


def test_a_crash_takes_the_child_and_not_the_engine(houses: Callable[..., House]) -> None:
    house = houses(runner="child")
    job = house.queue.submit(Count(upto=1, end="crash")).id
    after = house.queue.submit(Count(upto=1)).id
    house.queue.start()
    house.until(job, "failed")
    error = house.workspace.jobs.get(job).error
    assert "signal 9" in error["message"]
    assert f"resume {job}" in error["hint"]
    house.until(after, "done")


def test_a_child_pauses_and_cancels(houses: Callable[..., House]) -> None:
    house = houses(runner="child")
    job = house.queue.submit(Count(upto=5000, pause=0.01)).id
    house.queue.start()
    deadline = time.monotonic() + 20
    while not any(isinstance(event, events.JobMetric) for event in house.heard) and time.monotonic() < deadline:
        time.sleep(0.02)
    house.workspace.jobs.ask(job, "pause")
    house.queue.poke()
    house.until(job, "paused")
    house.queue.resume(job)
    house.until(job, "running")
    house.workspace.jobs.ask(job, "cancel")
    house.queue.poke()
    assert house.until(job, "cancelled") == "cancelled"
    steps = [event.step for event in house.heard if isinstance(event, events.JobMetric)]
    assert steps == list(range(1, len(steps) + 1)), "the second attempt went on where the first stopped"


def test_a_dead_process_leaves_an_interrupted_job(houses: Callable[..., House]) -> None:
    house = houses()
    job = house.queue.submit(Count()).id
    house.workspace.jobs.claim("compute")
    house.workspace.database.write("UPDATE jobs SET pid = 999999999 WHERE id = ?", job)
    house.queue.start()
    house.until(job, "interrupted")
    assert any(isinstance(event, events.JobInterrupted) and event.job == job for event in house.heard)
    house.queue.resume(job)
    house.until(job, "done")


def test_a_lease_that_was_not_renewed_ends(houses: Callable[..., House]) -> None:
    house = houses()
    job = house.queue.submit(Count()).id
    house.workspace.jobs.claim("compute")
    assert house.workspace.jobs.reap() == []
    house.workspace.database.write("UPDATE jobs SET beat = beat - 60, host = 'elsewhere' WHERE id = ?", job)
    assert house.workspace.jobs.reap() == [job]


def test_two_engines_on_one_workspace_run_each_job_once(houses: Callable[..., House]) -> None:
    one, two = houses(), houses()
    jobs = [one.queue.submit(Count(upto=2)).id for _ in range(10)]
    one.queue.start()
    two.queue.start()
    for job in jobs:
        one.until(job, "done", seconds=30)
    assert all(one.workspace.jobs.get(job).attempts == 1 for job in jobs)


def test_another_process_hears_a_running_job(houses: Callable[..., House]) -> None:
    runs, watches = houses(), houses(everything=False)
    watches.queue.start()
    runs.queue.start()
    job = runs.queue.submit(Count(upto=40, pause=0.1)).id
    deadline = time.monotonic() + 15
    while not any(isinstance(event, events.JobMetric) and event.job == job for event in watches.heard):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    watches.workspace.jobs.ask(job, "cancel")
    runs.until(job, "cancelled")


def test_a_torn_line_in_the_journal_is_passed_over(home: Path) -> None:
    folder = home / "jobs"
    one = journal.Journal(folder, "1")
    one.write(events.JobLog(text="whole"))
    one.close()
    with one.path.open("a") as file:
        file.write('{"type": "JobLog", "te')
    two = journal.Journal(folder, "1")
    two.write(events.JobLog(text="after"))
    two.close()
    read = [event for event, _ in journal.read(two.path)]
    assert [(event.seq, event.text) for event in read if isinstance(event, events.JobLog)] == [(1, "whole"), (2, "after")]


def test_unknown_jobs_and_states_are_refused(houses: Callable[..., House]) -> None:
    house = houses()
    with pytest.raises(NotFound, match="no job 77"):
        house.workspace.jobs.get("77")
    job = house.queue.submit(Count(upto=0)).id
    with pytest.raises(JobError, match="is queued"):
        house.queue.resume(job)


def test_a_log_that_can_not_be_opened_ends_no_thread(tmp_path: Path) -> None:
    from engine.logfile import LogFile

    handler = LogFile(tmp_path / "gone" / "x.log", delay=True)
    handler.emit(logging.LogRecord("engine", logging.ERROR, __file__, 1, "hello", (), None))
    (tmp_path / "gone").mkdir()
    handler.emit(logging.LogRecord("engine", logging.ERROR, __file__, 1, "again", (), None))
    handler.close()
    assert (tmp_path / "gone" / "x.log").read_text() == "again\n"


def test_a_name_that_a_job_is_to_make_is_told_apart_from_a_wrong_one(home: Path) -> None:
    workspace = Workspace(home, Settings(runner="thread"))
    jobs, models = workspace.jobs, workspace.models
    with pytest.raises(NotFound, match="no model called “tuned”\\. `models`"):
        models.get("tuned")
    other = jobs.add("keep", {"name": "tuned"}, "keep tuned", "io")
    job = jobs.add("train", {"name": "tuned"}, "train", "compute")
    with pytest.raises(NotFound, match="called “tuned” yet") as caught:
        models.get("tuned")
    assert caught.value.hint == f"Job {job.id}, which makes it, is queued."
    with pytest.raises(NotFound) as caught:
        workspace.datasets.get("tuned")
    assert caught.value.hint == f"Job {other.id}, which makes it, is queued."
    jobs.finish(job.id, "cancelled")
    with pytest.raises(NotFound, match="called “tuned”\\. `models`"):
        models.get("tuned")
