"""What rows are for, and how they are said as a chat or as text."""

from __future__ import annotations

from typing import Any

import pytest

from engine.data.shape import as_messages, as_text, corrected, recognise
from engine.errors import DataError
from engine.store.datasets import DatasetRecord

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def record(shape: str, **columns: str) -> DatasetRecord:
    return DatasetRecord("d", "", "", "", {"train": 1}, dict.fromkeys(columns.values(), "string"), shape, columns, 0)


@pytest.mark.parametrize(
    ("row", "shape", "columns"),
    [
        ({"messages": CHAT}, "conversation", {"messages": "messages"}),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, "conversation", {"messages": "conversations"}),
        ({"id": "1", "Question": "Why?", "answer": "So."}, "instruction", {"prompt": "Question", "completion": "answer"}),
        ({"instruction": "Do", "input": "x", "output": "y"}, "instruction", {"prompt": "instruction", "input": "input", "completion": "output"}),
        (
            {"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": CHAT[1:]},
            "preference",
            {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
        ),
        ({"text": "a", "label": 3}, "classification", {"text": "text", "label": "label"}),
        ({"utterance": "a", "intent": "b"}, "classification", {"text": "utterance", "label": "intent"}),
        ({"id": "1", "title": "", "text": "Long"}, "text", {"text": "text"}),
        ({"page": "p", "notes": "a rather long piece of writing"}, "text", {"text": "notes"}),
        ({"a": 1, "b": 2.0}, "table", {}),
    ],
)
def test_recognise(row: dict[str, Any], shape: str, columns: dict[str, str]) -> None:
    kinds = {str: "string", int: "int64", float: "float64", list: "list of struct {role: string, content: string}"}
    features = {name: kinds[type(value)] for name, value in row.items()}
    assert recognise(features, [row]) == (shape, columns)


def test_a_label_is_seen_by_its_values() -> None:
    sample = [{"line": f"a different sentence {n}", "kind": "ab"[n % 2]} for n in range(40)]
    assert recognise({"line": "string", "kind": "string"}, sample) == ("classification", {"text": "line", "label": "kind"})


def test_corrections() -> None:
    features = {"a": "string", "b": "string", "label": "string"}
    sample = [{"a": "words", "b": "other words", "label": "x"}]
    assert corrected(features, sample, {"text": "a"}) == ("classification", {"text": "a", "label": "label"})
    assert corrected(features, sample, {"label": "b", "text": "a"}) == ("classification", {"text": "a", "label": "b"})
    assert corrected(features, sample, {"text": "label"}) == ("text", {"text": "label"})
    assert corrected(features, sample, {"prompt": "a", "completion": "b"}) == ("instruction", {"prompt": "a", "completion": "b"})
    with pytest.raises(DataError, match="both a prompt and a completion"):
        corrected(features, sample, {"prompt": "a"})


def test_as_messages() -> None:
    assert as_messages(record("conversation", messages="m"), {"m": [*CHAT, {"role": "user", "content": "Bye"}]}) == CHAT
    shared = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    assert as_messages(record("conversation", messages="m"), {"m": shared}) == CHAT
    parts = [{"role": "user", "content": [{"type": "text", "value": "Hi"}]}, {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}]
    assert as_messages(record("conversation", messages="m"), {"m": parts}) == CHAT
    alpaca = record("instruction", prompt="i", input="x", completion="o")
    assert as_messages(alpaca, {"i": "Add", "x": "1 2", "o": "3"}) == [
        {"role": "user", "content": "Add\n\n1 2"},
        {"role": "assistant", "content": "3"},
    ]
    assert as_messages(alpaca, {"i": "Say hi", "x": None, "o": "hi"})[0]["content"] == "Say hi"
    assert as_messages(record("instruction", prompt="p", completion="c"), {"p": CHAT[:1], "c": CHAT[1:]}) == CHAT
    assert as_messages(record("classification", text="t", label="l"), {"t": "Hi", "l": 3})[1] == {"role": "assistant", "content": "3"}
    for bad in ({"m": CHAT[:1]}, {"m": []}, {"m": None}, {"m": CHAT[1:]}):
        with pytest.raises(DataError, match="no question with an answer"):
            as_messages(record("conversation", messages="m"), bad)
    with pytest.raises(DataError, match="--prompt and --completion"):
        as_messages(record("text", text="t"), {"t": "x"})


def test_as_text() -> None:
    assert as_text(record("classification", text="t", label="l"), {"t": "Hi", "l": "x"}) == "Hi"
    assert as_text(record("instruction", prompt="p", completion="c"), {"p": "Why?", "c": "So."}) == "Why?\nSo."
    assert as_text(record("conversation", messages="m"), {"m": CHAT}) == "user: Hi\nassistant: Hello"
    assert as_text(record("table"), {"a": 1, "b": None, "c": ["x"]}) == 'a: 1\nc: ["x"]'
    assert as_text(record("text", text="t"), {"t": "Hi", "u": "there"}, ["t", "u", "gone"]) == "Hi\nthere"
    assert as_text(record("text", text="t"), {"t": None}) == ""
