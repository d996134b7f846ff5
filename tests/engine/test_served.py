"""A model behind a server is measured by what it writes: several rows at once, patiently, and again from where it stopped.

The servers are real: llama.cpp's own with the tiny model, and a small one whose words and refusals are scripted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import BitternError, DataError, ModelError
from engine.events import JobLog
from engine.inference import patient
from engine.models.starter import ENCODER
from engine.store.models import ModelRecord
from tests.engine.conftest import KEY
from tests.fakes.encoder import encoder
from tests.fakes.follow import done, finish
from tests.fakes.openai_server import Refused, Server, openai_server
from tests.fakes.tables import put
from tests.fakes.tiny import chat_model, instruction_rows, talkative, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine

ROWS = [json.loads(line) for line in instruction_rows(40).splitlines()]
LINE = "evaluate {} --on lines --split train --rows 10 --batch-size 4 --max-tokens 8"


@pytest.fixture
def house(engine: Engine) -> Engine:
    """A workspace with the rows ``lines``."""
    columns = {name: [row[name] for row in ROWS] for name in ("instruction", "output")}
    put(engine, "lines", {"train": columns}, shape="instruction", columns={"prompt": "instruction", "completion": "output"})
    return engine


def near(engine: Engine, folder: Path) -> None:
    """Put the tiny model that stands behind ``served`` into the workspace too."""
    engine.workspace.models.put(ModelRecord("near", "chat", "made", 1, folder=str(talkative(chat_model(folder)))))


@pytest.fixture
def server(house: Engine) -> Iterator[Server]:
    """Says a word of the question; ``house`` has it as ``far``."""
    with openai_server() as running:
        running.answer = said
        house.run(house.parse(f"connect far {running.url} --model echo"))
        yield running


def said(body: dict[str, Any]) -> str:
    """The word that the row asks for, once: right where it is asked for once."""
    return str(asked(body).split()[3])


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def rows_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(data["predictions"]).read_text("utf-8").splitlines()]


def logs(engine: Engine, job: str) -> list[str]:
    return [event.text for event in engine.events_of(job) if isinstance(event, JobLog)]


def test_it_writes_what_the_same_model_writes_here(house: Engine, served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLM_KEY", KEY)
    monkeypatch.setenv("BITTERN_PRECISE", "1")
    house.run(house.parse(f"connect far {served} --key-env LLM_KEY"))
    near(house, tmp_path / "near")
    far, here = done(house, LINE.format("far")), done(house, LINE.format("near"))
    assert [(row["row"], row["prediction"]) for row in rows_of(far)] == [(row["row"], row["prediction"]) for row in rows_of(here)]
    assert len({row["prediction"] for row in rows_of(far)}) > 1
    assert all(far["metrics"][name] == here["metrics"][name] for name in ("exact_match", "rouge_l", "chrf", "bleu", "wer"))
    assert "perplexity" in here["metrics"] and "perplexity" not in far["metrics"]
    assert served in far["backend"] and all("nll" not in row and row["cut"] for row in rows_of(far))
    # What only one of them tells is not compared, whichever comes first.
    for two in (f"{far['run']} {here['run']}", f"{here['run']} {far['run']}"):
        compared = house.run(house.parse(f"compare {two}")).data
        assert compared["flipped"] == []
        assert set(compared["metrics"]) == {"exact_match", "token_f1", "rouge_l", "chrf", "wer", "cer"}
        house.run(house.parse(f"compare {two} --by length"))
    assert house.run(house.parse(f"worst {far['run']}")).data["rows"]
    house.run(house.parse(f"report {far['run']} --to {tmp_path / 'report.md'}"))
    assert "echo" not in (tmp_path / "report.md").read_text()
    assert not [file for file in house.workspace.paths.root.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_several_rows_are_asked_at_once_and_no_more(house: Engine, server: Server) -> None:
    lock, together, most, meet = threading.Lock(), [0], [0], threading.Barrier(4, timeout=60)

    def together_now(body: dict[str, Any]) -> str:
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        meet.wait()  # Four are here at the same time, or this fails.
        time.sleep(0.02)
        with lock:
            together[0] -= 1
        return said(body)

    server.answer = together_now
    found = done(house, "evaluate far --on lines --split train --rows 8 --batch-size 4")
    assert most[0] == 4 and len(server.requests) == 8
    assert found["metrics"]["exact_match"] == sum(row["correct"] for row in rows_of(found)) / 8
    assert server.requests[0]["temperature"] == 0 and server.requests[0]["max_tokens"] == 64
    assert not {"top_k", "min_p", "repeat_penalty"} & set(server.requests[0]), "nothing that another server may not know"


def test_labels_thoughts_and_control_tokens(house: Engine, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text("".join(json.dumps({"text": f"<|im_end|> {n}", "label": ("late", "refund")[n % 2]}) + "\n" for n in range(20)))
    done(house, f"add {file} --name talk")
    server.answer = lambda body: "<think>Hm, refund" if int(asked(body).split()[1]) % 2 else "<think>It is refund, or not.</think>\n Late"
    rows = rows_of(found := done(house, "evaluate far --on talk --split train"))
    even = {row["row"]: int(row["prompt"].split()[1]) % 2 == 0 for row in rows}
    assert all((row["prediction"], row["correct"]) == (("Late", True) if even[row["row"]] else ("", False)) for row in rows)
    assert found["metrics"]["accuracy"] == pytest.approx(sum(even.values()) / len(rows)) and 0 < sum(even.values()) < len(rows)
    assert all("<|im_end|>" not in asked(body) for body in server.requests)


def test_a_busy_server_is_asked_again(house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient, "WAITS", (0.01, 0.02))
    refusals = [Refused(429, "slow down", Retry_After="0"), Refused(503, "loading"), Refused(502)]
    lock = threading.Lock()

    def busy(body: dict[str, Any]) -> str:
        with lock:
            if refusals:
                raise refusals.pop()
        return said(body)

    server.answer = busy
    found = done(house, LINE.format("far"))
    assert len(server.requests) == 13 and found["rows"] == 10
    told = logs(house, "1")
    assert sum("asked again" in line for line in told) == 3 and any("asked too often: slow down" in line for line in told)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refused(401, f"no such key: {KEY}"), "refuses the key: no such key: …"),
        (Refused(404, "gone"), "has no model “echo”: gone"),
        (Refused(429, "enough", Retry_After="3600"), "asked too often: enough"),
        (Refused(503, "still loading"), "status 503: still loading"),
        (RuntimeError("out of memory"), "status 500: out of memory"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_and_the_job_goes_on_where_it_was(
    house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch, refusal: RuntimeError, told: str
) -> None:
    monkeypatch.setattr(patient, "WAITS", (0.01, 0.02))
    monkeypatch.setenv("LLM_KEY", KEY)
    server.lock = KEY
    house.run(house.parse(f"connect far {server.url} --model echo --key-env LLM_KEY"))
    order = list[str]()
    lock = threading.Lock()

    def fails_later(body: dict[str, Any]) -> str:
        with lock:
            order.append(asked(body))
            if len(order) > 5:
                raise refusal
        return said(body)

    server.answer = fails_later
    job = house.run(house.parse(LINE.format("far"))).data["job"]
    error = finish(house, job, state="failed").error
    assert told in error["message"] and server.url in error["message"] and error["hint"]
    kept = [json.loads(line)["row"] for line in (house.workspace.paths.job(job) / "predictions.jsonl").read_text().splitlines()]
    assert 4 <= len(kept) <= 5, "of the second four, those before the first that was refused"
    server.answer, before = said, len(server.requests)
    house.run(house.parse(f"resume {job}"))
    finish(house, job)
    assert len(server.requests) - before == 10 - len(kept)
    assert len({row["row"] for row in rows_of(house.result(job).data)}) == 10
    assert not [file for file in house.workspace.paths.root.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_a_dead_and_a_slow_server_are_told(house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.hub import endpoint

    monkeypatch.setattr(endpoint, "PATIENCE", 0.5)
    gone = threading.Event()

    def silent(body: dict[str, Any]) -> str:
        gone.wait(30)
        return said(body)

    server.answer = silent
    job = house.run(house.parse(LINE.format("far"))).data["job"]
    error = finish(house, job, state="failed").error
    assert "does not answer" in error["message"]
    gone.set()
    record = house.workspace.models.get("far")
    house.workspace.models.put(ModelRecord("far", "endpoint", "gone", 0, facts={**record.facts, "url": "http://127.0.0.1:9/v1"}))
    house.run(house.parse(f"resume {job}"))
    error = finish(house, job, state="failed").error
    assert "can't be reached at http://127.0.0.1:9/v1" in error["message"] and "Start the server" in error["hint"]
    house.workspace.models.put(record)
    server.answer = said
    house.run(house.parse(f"resume {job}"))
    finish(house, job)


def test_a_pause_is_heard_while_it_waits_and_nothing_half_is_kept(house: Engine, server: Server) -> None:
    came = threading.Event()

    def hangs(body: dict[str, Any]) -> str:
        if len(server.requests) > 4:
            came.set()
            time.sleep(30)
        return said(body)

    server.answer = hangs
    job = house.run(house.parse(LINE.format("far"))).data["job"]
    assert came.wait(60)
    house.run(house.parse(f"pause {job}"))
    finish(house, job, state="paused", seconds=25)
    server.answer = said
    house.run(house.parse(f"resume {job}"))
    finish(house, job)
    assert [row["prediction"] for row in rows_of(house.result(job).data)] == [row["prompt"].split()[3] for row in rows_of(house.result(job).data)]


def test_what_a_server_cannot_tell_is_said_before_anything_is_asked(
    house: Engine, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain.jsonl").write_text(texts(8))
    (tmp_path / "exam.jsonl").write_text(
        "".join(json.dumps({"question": f"How much is {n}?", "choices": ["one", "two"], "answer": 0}) + "\n" for n in range(4))
    )
    for name in ("plain", "exam"):
        done(house, f"add {tmp_path / name}.jsonl --name {name}")
    before = len(server.requests)
    for line, kind, match in (
        ("evaluate far --on lines --task perplexity", ModelError, "tells no likelihood .* by perplexity"),
        ("evaluate far --on exam", ModelError, "tells no likelihood .* by choice"),
        ("evaluate far --on exam --task choice", ModelError, "tells no likelihood"),
        ("evaluate far --on plain", ModelError, "tells no likelihood .* by perplexity"),
        ("evaluate far --on lines --task classification", ModelError, "can't be measured by classification"),
        ("evaluate far --on lines --backend llamacpp", DataError, "by itself"),
    ):
        with pytest.raises(kind, match=match) as caught:
            house.run(house.parse(line))
        assert caught.value.hint
    house.run(house.parse(f"connect shut {server.url} --model echo"))
    record = house.workspace.models.get("shut")
    house.workspace.models.put(ModelRecord("shut", "endpoint", "x", 0, facts={**record.facts, "key_env": "NOWHERE"}))
    with pytest.raises(ModelError, match="NOWHERE"):
        house.run(house.parse("evaluate shut --on lines"))
    with pytest.raises(ModelError, match="NOWHERE"):
        house.run(house.parse("evaluate far --on lines --with shut"))
    assert len(server.requests) == before and all(job.verb == "add" for job in house.jobs())


def test_it_is_compared_with_a_model_here_in_one_job(house: Engine, server: Server, tmp_path: Path) -> None:
    near(house, tmp_path / "near")
    found = done(house, f"{LINE.format('far')} --with near")
    assert [house.workspace.runs.get(str(number)).model for number in (1, 2)] == ["near", "far"]
    assert "exact_match" in found["metrics"] and "perplexity" not in found["metrics"]


def test_it_answers_from_rows(house: Engine, server: Server, tmp_path: Path) -> None:
    house.workspace.models.put(ModelRecord(ENCODER, "encoder", "made", 1, folder=str(encoder(tmp_path / "encoder"))))
    done(house, "index lines")
    server.answer = lambda body: "Say the word heron [1]."
    found = house.run(house.parse("ask --on lines --model far Say the word heron 3 times")).data
    assert found["by"] == "model" and found["answer"].startswith("Say the word heron") and found["passages"]
    assert "Passages" in asked(server.requests[-1])


def test_it_is_a_side_and_a_judge_and_its_busy_moments_are_waited_out(
    house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(patient, "WAITS", (0.01,))
    busy = [Refused(429), Refused(503)]

    def answer(body: dict[str, Any]) -> str:
        if busy and len(server.requests) in (2, 6):
            raise busy.pop()
        if "verdict" in asked(body):
            one, two = re.findall(r"<answer-\d-\w+>\n(.*?)\n</answer", asked(body), re.DOTALL)
            return json.dumps({"verdict": "1" if len(one) > len(two) else "2"})
        return "a long answer, with many words" if body["temperature"] else "short"

    server.answer = answer
    job = house.run(house.parse("versus far+temperature=0,far+temperature=1 --on lines --rows 2")).data["job"]
    finish(house, job)
    assert any("asked again" in line for line in logs(house, job))
    found = done(house, f"judge --batch {job} --by far")
    assert not busy and (found["pairs"][0]["losses"], found["position"]["bias"]) == (2, 0.0)
    near(house, tmp_path / "near")
    told = house.run(house.parse("versus far,near+max-tokens=4 --open What is a heron?")).data
    assert {place["side"] for place in told["places"]} == {"far", "near+max-tokens=4"}


def test_in_a_shell_the_job_of_another_process_has_the_key(house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_KEY", KEY)
    monkeypatch.delenv("BITTERN_RUNNER")
    server.lock = KEY
    house.run(house.parse(f"connect far {server.url} --model echo --key-env LLM_KEY"))
    ran = subprocess.run(
        [sys.executable, "-m", "tui", "--workspace", str(house.workspace.paths.root), "--json", *LINE.format("far").split()],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["rows"] == 10
    assert KEY not in ran.stdout + ran.stderr and set(server.keys) == {f"Bearer {KEY}"}


def test_an_error_names_no_key(house: Engine, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_KEY", KEY)
    server.lock = "another"
    with pytest.raises(BitternError, match="no such key: …") as caught:
        house.run(house.parse(f"connect far {server.url} --model echo --key-env LLM_KEY"))
    assert KEY not in str(caught.value.as_dict())
