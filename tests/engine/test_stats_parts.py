"""stats of one split, of structs field by field, and of conversations; empty values; where a bar's rows are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.looking import measured, stats
from engine.errors import NotFound
from tests.engine.test_stats import done
from tests.fakes.tables import put, say

if TYPE_CHECKING:
    from engine.engine import Engine


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


CHATS = [
    [turn("system", "Be kind."), turn("user", "Hi"), turn("assistant", "Hello there")],
    [turn("user", "Hi"), turn("assistant", "Yes?"), turn("user", "Bye"), turn("assistant", "Goodbye, then")],
    [turn("human", "Nobody answers")],
    None,
]
FACTS = [
    {"name": "a'b", "at": {"x": 1.5, "the day": "Monday"}},
    {"name": None, "at": {"x": 2.5, "the day": "Monday"}},
    {"name": "c", "at": None},
    None,
]


@pytest.fixture
def chats(engine: Engine) -> Engine:
    train = {"messages": CHATS, "facts": FACTS, "note": ["one", None, "two", "two"]}
    test = {"messages": CHATS[:2], "facts": FACTS[:2], "note": [None, "three"]}
    put(engine, "chats", {"train": train, "test": test}, shape="conversation", columns={"messages": "messages", "label": "note"})
    return engine


def columns(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in found["columns"]}


def test_one_split_and_all_together(chats: Engine) -> None:
    every, test = done(chats, "stats chats"), done(chats, "stats chats --split test")
    assert (every["rows"], every["split"], test["rows"], test["split"]) == (6, "", 2, "test")
    assert columns(every)["note"]["nulls"] == 2 and columns(test)["note"]["nulls"] == 1
    assert set(every["balance"]["splits"]) == {"train", "test"} and set(test["balance"]["splits"]) == {"test"}
    again = say(chats, "stats chats --split test")
    assert again.data == test and again.opens == "stats:chats/test" and again.summary.startswith("chats/test: 2 rows")
    assert "all splits together: train, test" in say(chats, "stats chats").summary
    assert "job" in say(chats, "stats chats --split train").data, "each split is kept apart"
    assert "job" in say(chats, "stats chats --split test --again").data
    assert "job" not in say(chats, "stats chats").data, "the other figures stay"
    with pytest.raises(NotFound, match="no split “tset”"):
        say(chats, "stats chats --split tset")


def test_structs_are_told_field_by_field(chats: Engine) -> None:
    found = columns(done(chats, "stats chats --split train"))
    assert [name for name, column in found.items() if column.get("part_of") == "facts"] == [
        "facts.name",
        "facts.at",
        "facts.at.x",
        "facts.at.the day",
    ]
    assert (found["facts"]["nulls"], found["facts.name"]["nulls"], found["facts.at.x"]["nulls"]) == (1, 2, 2)
    assert found["facts.at.x"]["figures"]["mean"] == 2.0 and found["facts.at.the day"]["top"] == [{"value": "Monday", "count": 2}]


def test_what_is_in_conversations(chats: Engine) -> None:
    found = columns(done(chats, "stats chats --split train"))
    people = {item["role"]: (item["messages"], item["rows"]) for item in found["messages"]["roles"]}
    assert people == {"user": (3, 2), "assistant": (3, 2), "system": (1, 1), "human": (1, 1)}
    assert found["messages"]["kind"] == "chat" and found["messages"]["figures"]["max"] == 4
    assert found["messages.turns"]["figures"]["mean"] == pytest.approx(4 / 3), "one, two and one; what is empty has none"
    assert found["messages.system"]["nulls"] == 3
    answers = found["messages.last_answer"]
    assert (answers["nulls"], answers["figures"]["min"], answers["figures"]["max"]) == (2, len("Hello there"), len("Goodbye, then"))
    body = say(chats, "stats chats --split train").body
    assert "25.0% have a system prompt" in body and "turns 1.333 on average, at most 2" in body and "assistant 3" in body


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "Hello"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}],
            "Hello",
        ),
    ],
)
def test_every_spelling_of_a_conversation(engine: Engine, value: list[dict[str, Any]], words: str) -> None:
    put(engine, "other", {"train": {"chat": [value, value]}})
    found = columns(done(engine, "stats other"))
    assert found["chat"]["kind"] == "chat" and found["chat.last_answer"]["top"] == [{"value": words, "count": 2}]
    assert found["chat.turns"]["figures"]["mean"] == 1


def test_every_bar_of_a_part_selects_what_it_counts(chats: Engine) -> None:
    for column in done(chats, "stats chats --split train")["columns"]:
        for item in column.get("roles", []):
            assert chats.view("chats", "train", item["where"]).rows == item["rows"]
        for count, (low, high) in zip(
            column.get("histogram", {}).get("counts", []), pairwise(column.get("histogram", {}).get("edges", [])), strict=False
        ):
            # The first bar begins with the smallest value, where that is where it begins.
            over = ">=" if low == column["histogram"]["edges"][0] == column["figures"]["min"] else ">"
            assert chats.view("chats", "train", f"{column['of']} {over} {low!r} AND {column['of']} <= {high!r}").rows == count, column["name"]
        if column["nulls"]:
            assert chats.view("chats", "train", f"{column['sql']} IS NULL").rows == column["nulls"], column["name"]


def test_more_fields_than_are_measured_are_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "PARTS", 3)
    put(engine, "wide", {"train": {"facts": [{f"f{n}": n for n in range(5)}], "after": [1]}})
    found = done(engine, "stats wide")
    assert list(columns(found)) == ["facts", "facts.f0", "facts.f1", "facts.f2", "after"] and found["parts_left_out"] == 2
    assert "2 more fields" in say(engine, "stats wide").body


def test_empty_values_with_and_without_statistics(chats: Engine) -> None:
    record = chats.workspace.datasets.get("chats")
    before = chats.nulls("chats")
    assert before == {"messages": 1, "facts": 1, "note": 2} and stats.cached(record) is None
    done(chats, "stats chats")
    assert stats.cached(record) is not None and chats.nulls("chats") == before


def test_where_rows_are(chats: Engine) -> None:
    assert chats.matching("chats", "note IS NULL") == {"train": 1, "test": 1}
    assert chats.matching("chats", "note = 'three'") == {"test": 1} and chats.matching("chats", "note = 'x'") == {}
