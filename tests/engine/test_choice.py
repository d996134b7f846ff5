"""Multiple choice: rows as questions, likelihoods with what is shared read once, and evaluations of a tiny model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import DataError
from engine.evaluation import kept
from engine.evaluation.questions import Columns, Reader, columns_of
from engine.store.datasets import DatasetRecord
from tests.fakes.follow import finish


def dataset(**features: str) -> DatasetRecord:
    return DatasetRecord("exam", "", "", "", {"test": 1}, features, "table", {}, 0)


def test_columns_are_recognised_in_the_spellings_that_are_about() -> None:
    listed, lettered = "list of string", "struct {text: list of string, label: list of string}"
    cases = [
        ({"question": "string", "choices": listed, "answer": "int64", "subject": "string"}, Columns("question", ("choices",), "answer")),
        ({"question": "string", "choices": lettered, "answerKey": "string"}, Columns("question", ("choices",), "answerKey")),
        ({"ctx": "string", "endings": listed, "label": "string"}, Columns("ctx", ("endings",), "label")),
        ({"question": "string", "opa": "string", "opb": "string", "cop": "int64"}, Columns("question", ("opa", "opb"), "cop")),
        ({"sentence": "string", "option1": "string", "option2": "string", "answer": "string"}, Columns("sentence", ("option1", "option2"), "answer")),
        ({"article": "string", "question": "string", "options": listed, "answer": "string"}, Columns("question", ("options",), "answer", "article")),
        ({"Question": "string", "A": "string", "B": "string", "C": "string", "Answer": "string"}, Columns("Question", ("A", "B", "C"), "Answer")),
    ]
    for features, expected in cases:
        assert columns_of(dataset(**features)) == expected
    assert columns_of(dataset(question="string", answer="string")) is None
    assert columns_of(dataset(question="string", option_a="string", option_c="string", answer="string")) is None, "a gap is no list of options"
    plain = dataset(stem="string", one="string", two="string", key="string")
    assert columns_of(plain, {"options": "one, two", "answer": "key"}) == Columns("stem", ("one", "two"), "key")
    with pytest.raises(DataError, match="--answer"):
        columns_of(plain, {"answer": "kye"})


def test_the_right_option_is_found_by_number_letter_name_or_text() -> None:
    columns = Columns("question", ("choices",), "answer")

    def right(answer: Any, answers: list[Any], choices: Any = ("x", "y", "z")) -> int | None:
        found = Reader(columns, answers).read(
            {"question": "q?", "choices": list(choices) if isinstance(choices, tuple) else choices, "answer": answer}
        )
        return found.right if found else None

    assert [right(answer, [0, 1, 2]) for answer in (0, 2, 3, None)] == [0, 2, None, None]
    assert right("1", ["1", "2"]) == 0, "numbers that begin at one"
    assert (right("B", ["A", "B"]), right("y", ["y"]), right("w", ["w"])) == (1, 1, None)
    assert right("4", ["1", "4"], {"text": ["x", "y"], "label": ["1", "4"]}) == 1, "what the row itself calls its options"
    assert right(0, [0], ("x",)) is None, "one option is no choice"
    asked = Reader(columns, [0]).read({"question": " q? ", "choices": ["x", "y"], "answer": 1})
    assert asked is not None and (asked.prompt, asked.ends, asked.options) == ("Question: q?\nAnswer:", [" x", " y"], ["x", "y"])
    begun = Reader(Columns("ctx", ("endings",), "label"), [0]).read({"ctx": "He", "endings": ["sat", "ran"], "label": 0})
    assert begun is not None and (begun.prompt, begun.ends) == ("He", [" sat", " ran"])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
def test_what_is_shared_is_read_once_and_changes_nothing(family: str, tmp_path: Path) -> None:
    """Rotary, learned and ALiBi positions: prompts read once, and what all begin with once, against each pair read whole."""
    from engine.evaluation.likelihood import Likelihood
    from engine.models.load import load_causal
    from tests.fakes.tiny import base_model

    model, _ = load_causal(base_model(tmp_path, family), None, "float32")
    draw = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(3, 200) for _ in range(count)]

    preamble, pairs = tokens(20), []
    for number in range(14):
        # Some go past what is read; options have one token to six.
        prompt = (preamble if number < 7 else []) + tokens(draw.randrange(1, 95))
        pairs += [(prompt, tokens(draw.randrange(1, 7))) for _ in range(draw.randrange(1, 5))]
    scorer = Likelihood(model, 0, longest=100)
    assert scorer.shares
    shared = scorer.score(pairs, 4)
    again = [scorer.score([pair])[0] for pair in pairs[:6]]
    behind = scorer.score(pairs[:20], 20)
    scorer.shares = False
    whole = scorer.score(pairs, 4)
    assert [said.nats for said in shared] == pytest.approx([said.nats for said in whole], abs=1e-5)
    assert [said.nats for said in again] == pytest.approx([said.nats for said in whole[:6]], abs=1e-5)
    assert [said.nats for said in behind] == pytest.approx([said.nats for said in whole[:20]], abs=1e-5)
    assert [said.greedy for said in shared] == [said.greedy for said in whole]


@pytest.fixture
def exam(tiny_home: Path) -> Path:
    draw = random.Random(1)
    rows = []
    for number in range(30):
        options = [draw.choice(["heron", "reed", "pond", "a long grey bird", "mud"]) + str(place) for place in range(2 + number % 3)]
        rows.append({"question": f"What stands in water {number}?", "choices": options, "answer": draw.randrange(len(options))})
    rows.append({"question": "", "choices": ["a", "b"], "answer": 0})
    file = tiny_home.parent / "exam.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    opened = Engine(tiny_home, everything=True)
    try:
        finish(opened, opened.run(opened.parse(f"add {file} --name exam")).data["job"])
    finally:
        opened.close(5)
    return tiny_home


@pytest.mark.slow
def test_a_model_chooses_and_every_choice_is_kept(exam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(exam, everything=True)
    try:
        with pytest.raises(DataError, match="--question"):
            engine.run(engine.parse("evaluate tiny --on exam --task generation --question question"))
        with pytest.raises(DataError, match="question, options"):
            engine.run(engine.parse("evaluate tiny --on lines --task choice"))
        finish(engine, engine.run(engine.parse("evaluate tiny --on exam --split train --batch-size 7")).data["job"])
        finish(
            engine, engine.run(engine.parse("evaluate tiny --on exam --split train --batch-size 1 --question question --options choices")).data["job"]
        )
        again, run = engine.workspace.runs.all()[:2]
        rows = kept.read(Path(run.predictions))
        count = len(rows)
        assert (run.task, again.task) == ("choice", "choice") and run.rows == count > 20
        assert run.metrics["accuracy"] == sum(row["correct"] for row in rows) / count
        assert run.metrics["acc_norm"] == sum(row["acc_norm"] for row in rows) / count
        assert run.metrics["chance"] == pytest.approx(sum(1 / len(row["options"]) for row in rows) / count)
        for row in rows:
            best = max(range(len(row["nats"])), key=row["nats"].__getitem__)
            assert row["prediction"] == row["options"][best] and row["correct"] == (best == row["right"])
            long = max(range(len(row["nats"])), key=lambda at: row["nats"][at] / len(row["options"][at]))
            assert row["acc_norm"] == (long == row["right"])
        compared = engine.run(engine.parse(f"compare {run.id} {again.id}"))
        assert list(compared.data["metrics"])[:2] == ["accuracy", "acc_norm"]
        assert compared.data["flipped"] == []
        assert engine.run(engine.parse(f"worst {run.id}")).data["rows"][0]["why"] == "wrong"
    finally:
        engine.close(5)
