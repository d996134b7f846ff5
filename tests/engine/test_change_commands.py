"""The verbs that change data, as lines: what they say, what they refuse, and what they leave when killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from engine.commands.data.change import amount
from engine.commands.parse import from_argv, from_line, to_line
from engine.data.lineage import steps, versions
from engine.errors import BitternError, DataError, JobError
from engine.events import CatalogChanged, Event
from engine.results import Result
from engine.store.migrations import m001_initial
from tests.fakes.follow import finish
from tests.fakes.lineage import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


def do(engine: Engine, line: str) -> Result:
    """Answer a line; a job's result where it is one."""
    result = engine.run(engine.parse(line))
    if "job" not in result.data:
        return result
    finish(engine, result.data["job"])
    return Result.from_dict(json.loads((engine.workspace.paths.job(result.data["job"]) / "result.json").read_text("utf-8")))


@pytest.fixture
def tickets(engine: Engine, tmp_path: Path) -> Engine:
    rows = "".join(f"ticket {n % 40},{'ab'[n % 2]},{n}.5\n" for n in range(50))
    (tmp_path / "tickets.csv").write_text("text,label,amount\n" + rows)
    do(engine, f"add {tmp_path / 'tickets.csv'} --test 0.2")
    return engine


def test_every_step_says_what_it_did(tickets: Engine) -> None:
    says = {
        "filter tickets amount < 45.5 and label <> 'c'": "tickets: 45 rows (train 37, test 8), classification: text → label. 5 of 50 rows are gone.",
        "map tickets long length(text) > 8": "“long” holds bool now.",
        "rename tickets text body": "classification: body → label",
        "cast tickets amount string": "“amount” holds string now.",
        "dedupe tickets --on body": "5 of 45 rows are gone.",
        "shuffle tickets --seed 3": "`undo tickets` takes it back.",
        "sample tickets 50%": "20 of 40 rows are gone",
        "split tickets --test 0.3 --by label": "tickets: 20 rows (train 14, test 6)",
        "drop tickets long, amount": "classification: body → label",
        "concat tickets tickets --as twice": "twice: 40 rows (train 28, test 12), classification: body → label. 20 rows are new. tickets is as it was.",
    }
    for number, (line, said) in enumerate(says.items(), start=2):
        result = do(tickets, line)
        assert said in result.summary, line
        if "--as" not in line:
            assert (
                result.data["version"] == number and result.data["changed"] and result.data["rows"] == tickets.workspace.datasets.get("tickets").rows
            )
            assert result.opens == "dataset:tickets/train/0"
    history = do(tickets, "history tickets")
    assert history.table is not None and history.table.rows[-1][:4] == ["*10", "9", "drop long, amount", "20"]
    assert [item["step"]["kind"] for item in history.data["versions"]][:3] == ["start", "filter", "map"] and history.data["versions"][-1]["current"]
    assert do(tickets, "history tickets --count 2").summary.endswith("The last 2 are shown: --count 10 shows all.")
    assert do(tickets, "undo").summary.startswith("Undone: drop long, amount. tickets: 20 rows") and tickets.current("dataset") == "tickets"
    assert do(tickets, "redo tickets").data["version"] == 10
    assert do(tickets, "undo tickets --to 1").data["rows"] == 50
    apart = do(tickets, "split tickets --split train --test 0 --validation 0.2 --as apart").data
    assert set(tickets.workspace.datasets.get("apart").splits) == {"train", "validation", "test"} and apart["rows"] == 50, (
        "a test split that is there stays"
    )
    done = do(tickets, "replay tickets --to 10")
    assert "tickets version 10: 9 steps from" in done.summary and done.summary.endswith("all 20 rows are the same.") and done.data["imported"]
    assert "nothing to change" in do(tickets, "filter tickets amount > 0").summary


def test_a_cell_and_a_label(tickets: Engine) -> None:
    heard: list[Event] = []
    tickets.subscribe(heard.append)
    answer = do(tickets, 'edit tickets/test/1 text "it\'s \u202e odd"')
    assert answer.data["value"] == "it's \u202e odd" and answer.data["changed"] and answer.data["address"] == "tickets/test/1"
    assert ("datasets", "tickets") in [(event.what, event.name) for event in heard if isinstance(event, CatalogChanged)]
    assert do(tickets, "show tickets/test/1").data["rows"][0]["text"] == "it's \u202e odd"
    do(tickets, "edit tickets/test/1 amount 7")
    do(tickets, "edit tickets/test/2 amount --empty")
    do(tickets, "label tickets/test/1 -- --zorb or so")
    rows = do(tickets, "show tickets/test").data["rows"]
    assert (rows[1]["amount"], rows[2]["amount"], rows[1]["label"]) == (7.0, None, "--zorb or so")
    assert do(tickets, "label tickets/test/1 urgent --column priority").data["shape"] == "classification"
    assert "was so already" in do(tickets, "edit tickets/test/1 amount 7").summary
    for line, says in {
        "edit tickets/test/1 amount seven": "“seven” does not fit the column amount (double)",
        "edit tickets/test/1 nope 7": "no column “nope”",
        "edit tickets/test/99 text x": "has no row 99",
        "edit tickets/tset/1 text x": "no split “tset”",
        "edit tickets/1 text x": "is not a row's address",
        "edit tickets/test/1 text": "There is no value",
        "label tickes/test/1 x": "no dataset called “tickes”",
    }.items():
        with pytest.raises(BitternError, match=says.replace("(", r"\(").replace(")", r"\)")):
            do(tickets, line)
    at = tickets.workspace.datasets.get("tickets").fingerprint
    do(tickets, "shuffle tickets")
    with pytest.raises(DataError, match="in another order meanwhile"):
        do(tickets, f"label tickets/test/1 x --at {at}")


def test_what_can_be_known_to_fail_fails_at_once(tickets: Engine) -> None:
    for line, says, hint in (
        ("filter tickets lable = 'a'", "no column “lable”", "Did you mean label?"),
        ("filter tickets label = ", "can't be read", "for example"),
        ("filter tickets --split tset amount > 1", "no split “tset”", "Did you mean test?"),
        ("map tickets x uuid()", "something else each time", "seed"),
        ("cast tickets amount zorb", "is not a type", "float64"),
        ("drop tickets text nope", "no column “nope”", "Its columns are"),
        ("sample tickets much", "no number of rows", "10%"),
        ("split tickets --test 0.6 --validation 0.4", "Nothing would be left", "less than 1"),
        ("split tickets --test 0", "Nothing would be left to divide", "more than 0"),
        ("concat tickets nope", "no dataset called “nope”", ""),
        ("shuffle tickets --as tickets", "already a dataset", "--as"),
        ("shuffle tickets --as ../x", "can't be a dataset's name", ""),
        ("replay tickets --to 9", "no version 9", "1 to 1"),
        ("undo tickets", "nothing to undo", "history tickets"),
        ("redo tickets", "nothing to redo", "history tickets"),
    ):
        with pytest.raises(BitternError, match=says) as caught:
            do(tickets, line)
        assert hint in caught.value.hint, line
    assert all(job.verb == "add" for job in tickets.jobs()), "nothing was queued"


def test_prune_asks_and_waits_for_jobs(tickets: Engine) -> None:
    assert "keeps no old versions" in do(tickets, "history tickets --prune").summary
    do(tickets, "drop tickets amount")
    asked = do(tickets, "history tickets --prune")
    assert asked.data == {"dataset": "tickets", "versions": [1], "bytes": asked.data["bytes"], "removed": False} and asked.data["bytes"] > 0
    assert "history tickets --prune --yes" in asked.summary and do(tickets, "undo tickets").data["version"] == 1
    do(tickets, "redo tickets")
    waiting = tickets.workspace.jobs.add("train", {"on": "tickets"}, "train", "compute", after=["99999"])
    tickets.workspace.jobs.finish(waiting.id, "paused")
    with pytest.raises(JobError, match=r"Job \d+ \(train\) needs tickets"):
        do(tickets, "history tickets --prune --yes")
    tickets.workspace.jobs.finish(waiting.id, "done")
    assert do(tickets, "history tickets --prune --yes").data["removed"]
    assert do(tickets, "history tickets").data["versions"][0]["kept"] is False
    do(tickets, "forget tickets --yes")
    assert tickets.workspace.versions.all("tickets") == [] and not (tickets.workspace.paths.datasets / "tickets").exists()


def test_the_guide_has_a_history_too(engine: Engine) -> None:
    do(engine, "guide")
    before = engine.workspace.datasets.get("guide").rows
    do(engine, "filter guide length(text) > 300")
    assert engine.workspace.datasets.get("guide").rows < before and "from Bittern's own guide; all" in do(engine, "replay guide").summary
    do(engine, "guide")
    assert engine.workspace.datasets.get("guide").rows == before and do(engine, "redo guide").data["version"] == 2


def test_lines() -> None:
    for line, words in {
        "filter t label = 'a b'  and \"my col\" > 2": ["filter", "t", "label = 'a b'  and \"my col\" > 2"],
        "filter t \"label = 'a'\" --as u": ["filter", "t", "label = 'a'", "--as", "u"],
        'edit t/train/0 text "two words"': ["edit", "t/train/0", "text", "two words"],
        "drop t a b": ["drop", "t", "a", "b"],
    }.items():
        assert from_line(line) == from_argv(words)
        assert from_line(to_line(from_line(line))) == from_line(line)
    assert (amount("1,000"), amount("10%"), amount("0.5")) == ((1000, 0.0), (0, 0.1), (0, 0.5))
    for wrong in ("0", "-3", "150%", "1.5", "x", "nan", "inf"):
        with pytest.raises(DataError):
            amount(wrong)


def test_a_workspace_from_before_versions(tmp_path: Path) -> None:
    from datasets import Dataset

    (tmp_path / "home").mkdir()
    file = tmp_path / "home" / "bittern.db"
    old = sqlite3.connect(file)
    for statement in m001_initial.SQL.split(";"):
        old.execute(statement)
    folder = tmp_path / "home" / "datasets" / "d" / "v0"
    Dataset.from_dict({"n": [1, 2, 3]}).save_to_disk(str(folder / "train"))
    values = ("d", "d.csv", str(folder), "v0", '{"train": 3}', '{"n": "int64"}', "table", "{}", 300, "", "2026-01-01T00:00:00+00:00")
    old.execute("INSERT INTO datasets VALUES (?,?,?,?,?,?,?,?,?,?,?)", values)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    lab = Lab(tmp_path / "home")
    assert lab.workspace.datasets.get("d").rows == 3 and lab.workspace.versions.all("d") == []
    lab.do("d", steps.Filter(expression="n > 1"))
    assert [(v.number, v.step["kind"], v.record.rows, v.kept) for v in lab.workspace.versions.all("d")] == [
        (1, "start", 3, True), (2, "filter", 2, True),
    ]  # fmt: skip
    assert versions.undo(lab.workspace, "d").record.rows == 3 and lab.rows("d")["train"] == [{"n": 1}, {"n": 2}, {"n": 3}]
    lab.workspace.close()


@pytest.mark.slow
def test_kill_9_in_a_step_leaves_the_version_that_was(home: Path, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,n\n" + "".join(f"some words about {n},{n}\n" for n in range(150_000)))
    lab = Lab(home)
    before = lab.add(tmp_path / "d.csv")
    own = lab.workspace.paths.datasets / "d"
    words = [sys.executable, "-m", "tui", "--workspace", str(home), "--json", "shuffle", "d"]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(own.glob(".making-*/ready/train/*.arrow")):
        assert process.poll() is None and time.monotonic() < deadline, "the step ended before it could be killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert lab.workspace.datasets.get("d") == before and len(lab.workspace.versions.all("d")) == 1
    assert [entry.name for entry in own.iterdir() if not entry.name.startswith(".")] == [before.fingerprint]
    assert lab.do("d", steps.Shuffle()).rows == 150_000
    lab.workspace.close()
