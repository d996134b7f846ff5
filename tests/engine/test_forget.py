"""forget waits for nobody, but refuses while a job needs the dataset, however the job's Command names it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.looking import export
from engine.errors import JobError
from tests.fakes.follow import finish
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


@pytest.fixture
def tickets(engine: Engine) -> Engine:
    put(engine, "tickets", {"train": {"text": [f"line {n}" for n in range(50)]}})
    put(engine, "other", {"train": {"text": ["a"]}})
    return engine


def test_while_an_export_runs(tickets: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, go_on = threading.Event(), threading.Event()
    real = export._batches

    def slow(*arguments: Any) -> Any:
        writing.set()
        assert go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(export, "_batches", slow)
    job = say(tickets, f"export tickets/train {tmp_path}/o.csv").data["job"]
    assert writing.wait(60)
    with pytest.raises(JobError, match=f"Job {job} .* needs tickets") as caught:
        say(tickets, "forget tickets --yes")
    assert f"cancel {job}" in caught.value.hint and tickets.workspace.datasets.find("tickets")
    go_on.set()
    finish(tickets, job)
    assert (tmp_path / "o.csv").read_text().count("line") == 50
    assert say(tickets, "forget tickets --yes").data["removed"]


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("train", {"base": "m", "on": "tickets"}),
        ("check", {"dataset": "other", "against": "tickets"}),
        ("concat", {"dataset": "other", "others": "more, tickets"}),
        ("keep", {"name": "long", "query": "SELECT * FROM tickets"}),
        ("stats", {"dataset": "tickets"}),
        ("of-tomorrow", {"dataset": "tickets"}),
    ],
)
def test_every_way_to_name_it(tickets: Engine, verb: str, values: dict[str, Any]) -> None:
    job = tickets.workspace.jobs.add(verb, values, f"{verb} something", "nobody")
    with pytest.raises(JobError, match=f"Job {job.id}"):
        say(tickets, "forget tickets --yes")
    assert "would remove tickets" in say(tickets, "forget tickets").summary


def test_jobs_of_others_do_not_count(tickets: Engine) -> None:
    tickets.workspace.jobs.add("stats", {"dataset": "tickets2"}, "stats", "nobody")
    tickets.workspace.jobs.add("export", {"address": "tickets-2/train", "file": "tickets"}, "export", "nobody")
    tickets.workspace.jobs.add("pull", {"source": "tickets"}, "pull", "nobody")
    assert say(tickets, "forget tickets --yes").data["removed"]
