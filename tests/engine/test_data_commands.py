"""datasets, show and forget, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.commands.data.datasets import Add, cell
from engine.errors import NotFound, WordsError
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine
    from engine.results import Result


def say(engine: Engine, line: str) -> Result:
    return engine.run(engine.parse(line))


@pytest.fixture
def tickets(engine: Engine, tmp_path: Path) -> Engine:
    (tmp_path / "tickets.csv").write_text("text,label\n" + "".join(f"ticket {n},{'ab'[n % 2]}\n" for n in range(30)))
    finish(engine, say(engine, f"add {tmp_path / 'tickets.csv'} --test 0.2").data["job"])
    return engine


def test_no_dataset_yet(engine: Engine) -> None:
    assert "Add one: add FILE.csv" in say(engine, "datasets").summary
    with pytest.raises(NotFound, match="Name one, or add one"):
        say(engine, "show")


def test_datasets(tickets: Engine) -> None:
    answer = say(tickets, "datasets")
    assert answer.table is not None and answer.table.rows[0][:5] == ["* tickets", "30", "train 24, test 6", "classification", "text, label"]
    assert answer.data["datasets"][0]["dataset"] == "tickets" and answer.data["datasets"][0]["index"] == "no"


def test_show(tickets: Engine) -> None:
    answer = say(tickets, "show")
    assert len(answer.data["rows"]) == 10 and answer.opens == "dataset:tickets/train/0"
    answer = say(tickets, "show tickets/test --start 4")
    assert answer.data["start"] == 4 and len(answer.data["rows"]) == 2 and answer.data["split"] == "test"
    assert answer.table is not None and answer.table.rows[1][0] == "5"
    row = say(tickets, "show tickets/test/5")
    assert f"    text\n      {row.data['rows'][0]['text']}\n" in row.body, "the whole row, as text that no Markdown touches"
    assert row.data["rows"] == answer.data["rows"][1:] and row.opens == "dataset:tickets/test/5"
    for line, hint in {
        "show tickts": "Did you mean tickets?",
        "show tickets/tset": "Did you mean test?",
        "show tickets/test/6": "Its rows are 0 to 5.",
        "show tickets/test/x": "rows count from 0",
        "show tickets/test --start 99": "Its rows are 0 to 5.",
    }.items():
        with pytest.raises(NotFound) as caught:
            say(tickets, line)
        assert hint in caught.value.hint


def test_forget_asks_first(tickets: Engine) -> None:
    answer = say(tickets, "forget tickets")
    assert "forget tickets --yes" in answer.summary and answer.data["removed"] is False and tickets.datasets()
    assert say(tickets, "forget tickets --yes").data["removed"] is True
    assert not tickets.datasets() and not (tickets.workspace.paths.datasets / "tickets").exists() and tickets.current("dataset") == ""


def test_the_same_relative_file_is_the_same_tomorrow(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("text\nhello there everybody\nbye\n")
    monkeypatch.chdir(tmp_path)
    job = finish(engine, say(engine, "add x.csv").data["job"])
    assert job.command["source"] == str(tmp_path / "x.csv") and job.command["name"] == "x"
    with pytest.raises(NotFound, match="Did you mean"):
        say(engine, "add xx.csv")
    with pytest.raises(WordsError, match="one character"):
        say(engine, "add x.csv --delimiter ab")


def test_where_an_import_runs() -> None:
    assert (Add(source="x.csv").where, Add(source="./a/b").where, Add(source="owner/name").where, Add(source="hf:squad").where) == (
        "warm", "warm", "fresh", "fresh",
    )  # fmt: skip


def test_data_cannot_steer_the_terminal() -> None:
    assert cell("a\x1b[31mred\nnext\x07 \u202etxt") == "a�[31mred next� �txt"
    assert len(cell("x" * 500)) == 80
