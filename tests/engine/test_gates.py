"""Before a training: the mask, what became of the rows, leaks, and gates that are red only when they should be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import DataError
from engine.training.gates import Gate, judge, of_rows
from engine.training.rows import Prepared
from engine.training.spec import TrainSpec
from engine.training.tally import Tally
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = TrainSpec(recipe="sft", base="b", dataset="d", name="n")


class Silent:
    """As much of a job as gates need."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def check(self) -> None: ...

    def progress(self, *_: Any) -> None: ...

    def log(self, text: str, level: str = "info") -> None:
        self.said.append((level, text))


def levels(**counts: int) -> dict[str, str]:
    return {gate.name: gate.level for gate in of_rows(SPEC, Prepared([], [], None, tally=Tally(**counts)))}


def test_a_gate_is_red_only_when_it_should_be() -> None:
    assert levels(rows=10, kept=10, stopped=10) == {"stop": "ok", "truncated": "ok", "empty": "ok"}
    assert levels(rows=10, kept=9, stopped=9, empty=1, cut=4) == {"stop": "ok", "truncated": "warning", "empty": "warning"}
    assert levels(rows=10, kept=7, stopped=6, empty=3) == {"stop": "red", "truncated": "ok", "empty": "red"}
    assert levels(rows=10, kept=4, stopped=4, long=6)["truncated"] == "red"
    assert levels(rows=10, kept=10, stopped=10, cut=10, lost=6)["truncated"] == "red"
    assert levels(rows=10, kept=10, stopped=10, cut=10, lost=5)["truncated"] == "warning"


def test_a_red_gate_stops_unless_it_is_allowed_by_name() -> None:
    job: Any = Silent()
    gates = [Gate("leak", "red", "All leak.", "Dedupe."), Gate("stop", "red", "No stop."), Gate("empty", "warning", "One is empty.")]
    with pytest.raises(DataError, match="No stop") as caught:
        judge(job, gates, ["leak"])
    assert "All leak" not in caught.value.message and caught.value.hint.endswith("--allow leak,stop")
    assert judge(job, gates, ["leak", "stop"]) == ["leak: All leak.", "stop: No stop."]
    assert ("warning", "Gate empty: One is empty.") in job.said


def test_leaks_are_found_by_text_and_by_words() -> None:
    from engine.quality.leaks import between

    job: Any = Silent()
    learnt = [f"A long sentence about the number {n} and the grey heron that stands in the reeds of pond {n * 7}." for n in range(60)]
    held = [learnt[7].upper(), learnt[9].replace("reeds", "reed"), "Something else altogether, about trains and stations.", ""]
    found = between(job, learnt, held)
    assert found.exact == {0: 7} and set(found.near) == {1}
    assert found.near[1][1] >= 0.7 and found.share == 0.25
    assert between(job, ["x"], []).share == 0


@pytest.fixture
def tiny(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    monkeypatch.setenv("BITTERN_THREADS", "1")
    opened = Engine(tiny_home, everything=True)
    yield opened
    opened.close(5)


def run(engine: Engine, line: str, state: str = "done") -> Any:
    """The result of a job, or its error where it fails."""
    record = finish(engine, engine.run(engine.parse(line)).data["job"], state=state)
    return engine.result(record.id) if state == "done" else record.error


def add(engine: Engine, name: str, rows: list[dict[str, str]], words: str = "") -> None:
    file = engine.workspace.paths.root.parent / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run(engine, f"add {file} --name {name} {words}")


@pytest.mark.slow
def test_a_leaking_dataset_stops_the_training_and_the_override_is_recorded(tiny: Engine) -> None:
    add(tiny, "twice", [{"prompt": f"Say {n % 4}", "completion": f"It is {n % 4}"} for n in range(40)])
    line = "train tiny --on twice --max-steps 1 --batch-size 2 --eval-rows 4 --name leaky"
    error = run(tiny, line, "failed")
    assert "4 of 4 held-out rows are in the training rows" in error["message"] and "--allow leak" in error["hint"]
    assert tiny.workspace.models.find("leaky") is None
    [again] = error["repairs"]
    assert again["label"] == "train all the same" and again["line"].endswith("--allow leak")
    result = run(tiny, again["line"])
    assert {gate["name"]: gate["level"] for gate in result.data["gates"]} == {"stop": "ok", "truncated": "ok", "empty": "ok", "leak": "red"}
    assert (
        tiny.workspace.models.get("leaky").facts["allowed"] == result.data["allowed"] == ["leak: 4 of 4 held-out rows are in the training rows too."]
    )


@pytest.mark.slow
def test_the_mask_shows_every_token_and_counts_every_row(tiny: Engine) -> None:
    rows = [
        {"prompt": "Say x", "completion": "xy"},
        {"prompt": "p" * 40, "completion": "z"},
        {"prompt": "q", "completion": "a" * 60},
        {"prompt": "q", "completion": ""},
    ]
    add(tiny, "few", rows * 1, "--test 0")
    result = run(tiny, "mask few --model tiny --rows 3 --max-length 50")
    counts = result.data["counts"]
    assert {name: counts[name] for name in ("rows", "kept", "cut", "long", "empty", "stopped")} == {
        "rows": 4, "kept": 2, "cut": 1, "long": 1, "empty": 1, "stopped": 2,
    }  # fmt: skip
    first, second, third = result.data["rows"]
    assert "".join(token["text"] for token in first["tokens"] if token["part"] == "loss") == "xy<|im_end|>"
    assert first["tokens"][-1]["special"] and first["stop_trained"]
    assert sum(token["part"] != "cut" for token in second["tokens"]) == 50 and second["tokens"][0]["part"] == "cut"
    assert {token["part"] for token in third["tokens"]} == {"cut"} and not third["stop_trained"]
    assert result.table.rows[0][4:] == ["xy<|im_end|>", "<|im_start|>user↵Say x<|im_end|>↵<|im_start|>assistant↵"]
    add(tiny, "plain", [{"text": f"A long enough line of plain words, number {number}."} for number in range(3)], "--test 0")
    block, *_ = run(tiny, "mask plain --model tiny").data["rows"]
    assert {token["part"] for token in block["tokens"]} == {"loss"}, "of plain text all is learned"
    add(tiny, "thumbs", [{"prompt": "Say x", "completion": "xy", "label": bool(number % 2)} for number in range(4)], "--test 0")
    marked = run(tiny, "mask thumbs --model tiny").data["rows"][0]
    assert "".join(token["text"] for token in marked["tokens"] if token["part"] == "loss") == "xy<|im_end|>"
    add(tiny, "numbers", [{"size": number} for number in range(3)], "--test 0")
    with pytest.raises(DataError):
        run(tiny, "mask numbers --model tiny")


@pytest.mark.slow
def test_a_tokenizer_with_no_stop_token_is_a_red_gate_and_no_crash(tiny: Engine, tmp_path: Path) -> None:
    folder = chat_model(tmp_path / "endless")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text("utf-8")).items() if name != "eos_token"}), "utf-8")
    run(tiny, f"pull {folder} --name endless")
    add(tiny, "few", [{"prompt": f"Say {n}", "completion": f"It is {n}"} for n in range(12)])
    shown = run(tiny, "mask few --model endless")
    assert "no stop token" in shown.summary and not shown.data["rows"][0]["stop_trained"]
    line = "train endless --on few --max-steps 1 --batch-size 2 --eval-rows 2 --name on"
    error = run(tiny, line, "failed")
    assert "The stop token carries no loss in" in error["message"] and "eos_token" in error["hint"] and error["hint"].endswith("--allow stop")
    assert run(tiny, f"{line} --allow stop").data["steps"] == 1
    assert run(tiny, "evaluate on --on few --rows 2 --max-tokens 4").data["rows"] == 1
