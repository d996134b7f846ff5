"""Views: a condition and an order over one split, in windows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from engine.data.looking import view as views
from engine.data.looking.view import View
from engine.errors import DataError, Stopped
from engine.jobs.context import CancelToken
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from engine.engine import Engine

rng = random.Random(3)
ROWS = {
    "text": [f"ticket {n} {'é' * (n % 4)}" for n in range(2500)],
    "label": [rng.choice(["refund", "lost", "late"]) for _ in range(2500)],
    "amount": [None if n % 17 == 0 else round(rng.gauss(50, 20), 2) for n in range(2500)],
}


@pytest.fixture
def tickets(engine: Engine) -> Engine:
    put(engine, "tickets", {"train": ROWS})
    return engine


def test_without_a_condition_nothing_is_computed(tickets: Engine) -> None:
    view = tickets.view("tickets", "train")
    assert view.rows == 2500 and view.numbers is None
    assert view.window(2498, 10) == [(n, {name: ROWS[name][n] for name in ROWS}) for n in (2498, 2499)]
    assert view.index_of(7) == 7 and view.index_of(2500) is None and view.window(2500, 5) == []


def test_a_condition_and_an_order(tickets: Engine) -> None:
    wanted = [n for n in range(2500) if ROWS["label"][n] == "refund"]
    view = tickets.view("tickets", "train", "label = 'refund'")
    assert [index for index, _ in view.window(0, 5000)] == wanted and view.rows == len(wanted)
    # The largest first, nothing last, ties as they stand in the file.
    wanted.sort(key=lambda n: (ROWS["amount"][n] is None, -(ROWS["amount"][n] or 0), n))
    view = tickets.view("tickets", "train", "label = 'refund' -- a remark", (("amount", True),))
    assert [index for index, _ in view.window(0, 5000)] == wanted
    assert view.window(10, 1)[0] == (wanted[10], {name: ROWS[name][wanted[10]] for name in ROWS})
    assert view.index_of(wanted[10]) == 10 and view.number(10) == wanted[10] and view.number(-1) is None
    assert view.index_of(next(n for n in range(2500) if ROWS["label"][n] == "lost")) is None


def test_the_same_view_is_computed_once(tickets: Engine) -> None:
    record = tickets.workspace.datasets.get("tickets")
    first = View(record, "train", "amount > 50")
    assert View(record, "train", " amount > 50 ").numbers is first.numbers
    assert View(record, "train", "amount > 51").numbers is not first.numbers


def test_old_views_are_let_go(tickets: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "KEPT_BYTES", 1)
    for n in range(5):
        tickets.view("tickets", "train", f"amount > {n}")
    assert len(views._kept) == 1


@pytest.mark.parametrize(
    ("where", "message", "hint", "word"),
    [
        ("lable = 'x'", "no column “lable”", "label", "lable"),
        ("label = 'é' AND lable = 1", "no column “lable”", "label", "lable"),
        ("label = = 3", "Syntax error", "", "="),
        ("amount > 'x'", "Could not convert", "", "'x'"),
        ("label + 1 > 2", "types do not fit", "Cast", "+"),
        ("nofn(1)", "no function called “nofn”", "", "nofn(1)"),
        ("label LIKE", "not finished", "follow", ""),
        ("1=1) OR (1=1", "not one condition", "For example", "1=1) OR (1=1"),
        ("1=1) UNION ALL SELECT 99999 WHERE (1=1", "not one condition", "", "1=1) UNION ALL SELECT 99999 WHERE (1=1"),
        ("label; DROP TABLE tickets", "Syntax error", "", ";"),
        ("label IN (SELECT a FROM read_csv('/etc/passwd'))", "can't reach files", "add FILE", "read_csv('/etc/passwd')"),
    ],
)
def test_a_wrong_condition_is_pointed_at(tickets: Engine, where: str, message: str, hint: str, word: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        tickets.view("tickets", "train", where)
    error = caught.value
    assert hint in error.hint and word == error.line[error.start : error.end]


def test_the_line_of_a_long_condition(tickets: Engine) -> None:
    with pytest.raises(DataError) as caught:
        tickets.view("tickets", "train", "label = 'a'\n  AND bogus = 3\n  AND amount > 1")
    assert (caught.value.line, caught.value.start, caught.value.end) == ("  AND bogus = 3", 6, 11)


def test_a_view_stops_when_asked(tickets: Engine) -> None:
    token = CancelToken()
    token.ask("cancel")
    slow = "(SELECT count(*) FROM range(100000000) a, range(1000) b WHERE a.range + b.range + amount > 3) > 0"
    with pytest.raises(Stopped):
        tickets.view("tickets", "train", slow, cancel=token)


def test_show_takes_a_condition(tickets: Engine) -> None:
    answer = say(tickets, "show tickets --where \"label = 'refund'\" --sort -amount,label --columns amount,text --count 3")
    found = sorted((row for row in zip(ROWS["amount"], ROWS["label"], strict=True) if row[1] == "refund" and row[0] is not None), reverse=True)
    assert [row["amount"] for row in answer.data["rows"]] == [amount for amount, _ in found[:3]]
    assert list(answer.data["rows"][0]) == ["amount", "text"] and answer.data["matching"] == ROWS["label"].count("refund")
    assert (
        answer.table is not None and answer.table.rows[0][0] == str(answer.data["indices"][0]) and answer.table.columns == ["row", "amount", "text"]
    )
    assert answer.opens == f"dataset:tickets/train/{answer.data['indices'][0]}" and "that fit, of 2,500" in answer.summary
    assert say(tickets, "show tickets --where \"label = 'none'\"").data["matching"] == 0
    for line in ("show tickets --sort amuont", "show tickets --columns amuont"):
        with pytest.raises(DataError) as caught:
            say(tickets, line)
        assert "Did you mean amount?" in caught.value.hint


def test_the_place_crosses_a_process(tickets: Engine) -> None:
    from engine.errors import from_dict

    with pytest.raises(DataError) as caught:
        say(tickets, 'show tickets --where "lable = 3"')
    again = from_dict(caught.value.as_dict())
    assert (again.line, again.start, again.end) == ("lable = 3", 0, 5)
