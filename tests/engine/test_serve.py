"""Serving: the official OpenAI client against each engine, the token, the limits, the figures, and how a server ends."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import BitternError, JobError, ModelError, NotFound
from engine.events import JobLog, JobMetric
from engine.serving.figures import Figures
from tests.fakes.encoder import encoder
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine


def up(engine: Engine, line: str, seconds: float = 120) -> dict[str, Any]:
    """Start a server and wait until it listens; its place, with the job's number."""
    job = engine.run(engine.parse(line)).data["job"]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        record = engine.job(job)
        assert record.state in ("queued", "running"), (
            record.error,
            *(file.read_text() for file in engine.workspace.paths.job(job).glob("server.log")),
        )
        for server in engine.run(engine.parse("servers")).data["servers"]:
            if server["job"] == job:
                return server
        time.sleep(0.05)
    raise AssertionError(f"{line}: not up after {seconds} s")


def stop(engine: Engine, place: dict[str, Any]) -> dict[str, Any]:
    """Cancel a server; its result's data."""
    engine.run(engine.parse(f"cancel {place['job']}"))
    finish(engine, place["job"])
    return engine.result(place["job"]).data


def client(place: dict[str, Any], key: str = "") -> Any:
    import openai

    return openai.OpenAI(base_url=place["base_url"], api_key=key or Path(place["token_file"]).read_text(), max_retries=0, timeout=60)


def ask(place: dict[str, Any], path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """A bare request: the status and the JSON."""
    token = Path(place["token_file"]).read_text()
    request = urllib.request.Request(place["base_url"].removesuffix("/v1") + path, body, {"Authorization": f"Bearer {token}", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, dict[str, Any]]]:
    """A tiny encoder behind the door, for everything that is the door's own."""
    from engine.engine import Engine

    root = tmp_path_factory.mktemp("served")
    os.environ["BITTERN_RUNNER"] = "thread"
    engine = Engine(root / "home", everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"pull {encoder(_made(root / 'enc'))} --name enc")).data["job"])
        yield engine, up(engine, "serve enc")
    finally:
        engine.close(5)
        del os.environ["BITTERN_RUNNER"]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_openai_client_gets_vectors(served: tuple[Engine, dict[str, Any]]) -> None:
    _, place = served
    found = client(place).embeddings.create(model="enc", input=["a heron in the pond", "rain"])
    assert [len(item.embedding) for item in found.data] == [32, 32]
    assert sum(value * value for value in found.data[0].embedding) == pytest.approx(1, abs=1e-3)
    assert found.usage.prompt_tokens > 2
    short = client(place).embeddings.create(model="enc", input="rain", dimensions=8, encoding_format="float").data[0].embedding
    assert len(short) == 8
    assert sum(value * value for value in short) == pytest.approx(1, abs=1e-3)
    status, plain = ask(place, "/v1/embeddings", json.dumps({"input": "rain", "encoding_format": "base64"}).encode())
    assert status == 200
    assert len(struct.unpack("<32f", base64.b64decode(plain["data"][0]["embedding"]))) == 32


def test_models_and_health(served: tuple[Engine, dict[str, Any]]) -> None:
    _, place = served
    assert [model.id for model in client(place).models.list()] == ["enc"]
    assert client(place).models.retrieve("enc").owned_by == "bittern"
    assert ask(place, "/health", headers={"Authorization": ""}) == (200, {"status": "ok"})


def test_without_the_token_nothing_is_answered(served: tuple[Engine, dict[str, Any]]) -> None:
    import openai

    _, place = served
    with pytest.raises(openai.AuthenticationError, match="Send the server's token"):
        client(place, "bt-wrong").embeddings.create(model="enc", input="x")
    for header in ("", "Bearer", "Bearer ", "Basic abc", "Bearer ünï"):
        assert ask(place, "/v1/models", headers={"Authorization": header.encode().decode("latin-1")})[0] == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/embeddings", b"{nope", 400, "invalid_json"),
        ("/v1/embeddings", b"[1]", 400, "invalid_json"),
        ("/v1/embeddings", b'{"input": []}', 400, "invalid_value"),
        ("/v1/embeddings", b'{"input": [[1, 2]]}', 400, "invalid_value"),
        ("/v1/embeddings", b'{"input": "a", "dimensions": 99}', 400, "invalid_value"),
        ("/v1/embeddings", b'{"input": "a", "model": "gpt-4"}', 404, "model_not_found"),
        ("/v1/chat/completions", b"{}", 404, "not_supported"),
        ("/etc/passwd", b"{}", 404, "not_found"),
    ],
)
def test_what_it_cannot_do_it_says_in_openais_form(served: tuple[Engine, dict[str, Any]], path: str, body: bytes, status: int, code: str) -> None:
    found, told = ask(served[1], path, body)
    assert (found, told["error"]["code"]) == (status, code)
    assert told["error"]["message"]


def test_a_request_too_large_is_refused_before_it_is_read(served: tuple[Engine, dict[str, Any]]) -> None:
    _, place = served
    token = Path(place["token_file"]).read_text()
    with socket.create_connection((place["host"], place["port"]), timeout=20) as raw:
        raw.sendall(f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 999999999999\r\n\r\n".encode())
        assert b" 413 " in raw.recv(1000)


def test_every_request_is_told_without_its_content_and_the_token_is_nowhere_else(served: tuple[Engine, dict[str, Any]]) -> None:
    engine, place = served
    client(place).embeddings.create(model="enc", input="a secret of herons")
    folder = engine.workspace.paths.job(place["job"])
    deadline = time.monotonic() + 20
    while "POST /v1/embeddings 200" not in (folder / "requests.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lines = [event.text for event in engine.events_of(place["job"]) if isinstance(event, JobLog)]
    assert any(line.startswith("POST /v1/embeddings 200 ") and line.endswith(" ms") for line in lines)
    token = Path(place["token_file"]).read_text()
    assert (Path(place["token_file"]).stat().st_mode & 0o777) == 0o600
    for file in engine.workspace.paths.root.rglob("*"):
        if file.is_file() and file != Path(place["token_file"]):
            assert token.encode() not in file.read_bytes(), file
            assert b"secret of herons" not in file.read_bytes(), file
    shown = engine.run(engine.parse(f"servers {place['job']} --token"))
    assert shown.data["token"] == token
    assert token not in str(engine.run(engine.parse(f"servers {place['job']}")))


def test_the_lines_to_copy_do_what_they_say(served: tuple[Engine, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    engine, place = served
    shown = engine.run(engine.parse(f"servers {place['job']}"))
    before, python = shown.body.split("```python\n")
    shell = before.removeprefix("```sh\n").removesuffix("\n```\n\n")
    if shutil.which("curl"):
        told = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
        assert len(json.loads(told.stdout)["data"][0]["embedding"]) == 32
    exec(python.removesuffix("\n```"), {})
    assert len(json.loads(capsys.readouterr().out)) == 5


def test_a_server_is_not_paused_and_tells_its_figures_when_cancelled(engine: Engine, tmp_path: Path) -> None:
    finish(engine, engine.run(engine.parse(f"pull {encoder(_made(tmp_path / 'enc'))} --name enc")).data["job"])
    place = up(engine, "serve enc")
    with pytest.raises(JobError, match="can't be paused"):
        engine.run(engine.parse(f"pause {place['job']}"))
    for number in range(5):
        client(place).embeddings.create(model="enc", input=f"heron {number}")
    client(place).models.list()
    assert ask(place, "/nowhere")[0] == 404
    data = stop(engine, place)
    assert (data["requests"], data["failed"]) == (7, 1)
    assert 0 < data["latency_p50_ms"] <= data["latency_p95_ms"]
    metrics = {event.name for event in engine.events_of(place["job"]) if isinstance(event, JobMetric)}
    assert {"requests", "requests_per_second", "latency_p50_ms", "latency_p95_ms", "tokens_per_second", "active"} <= metrics
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{place['port']}/health", timeout=5)
    assert engine.run(engine.parse("servers")).data["servers"] == []


def test_what_can_not_be_served_is_said_before_anything_is_queued(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(engine, engine.run(engine.parse(f"pull {encoder(_made(tmp_path / 'enc'))} --name enc")).data["job"])
    jobs = len(engine.jobs())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(JobError, match=f"127.0.0.1:{taken.getsockname()[1]} can't be listened on"):
            engine.run(engine.parse(f"serve enc --port {taken.getsockname()[1]}"))
    with pytest.raises(NotFound):
        engine.run(engine.parse("serve nothing"))
    with pytest.raises(ModelError, match="does not serve"):
        engine.run(engine.parse("serve enc --engine llama.cpp"))
    with pytest.raises(BitternError, match="BITTERN_NOT_THERE is empty"):
        engine.run(engine.parse("serve enc --token-env BITTERN_NOT_THERE"))
    monkeypatch.setenv("PATH", str(tmp_path))
    from engine.serving.process import check_installed

    for name, binary in (("vllm", "vllm"), ("tgi", "text-generation-launcher")):
        with pytest.raises(ModelError, match=f"there is no {binary} on PATH"):
            check_installed(name)
    assert len(engine.jobs()) == jobs


def test_a_token_from_the_environment_is_kept_nowhere(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(engine, engine.run(engine.parse(f"pull {encoder(_made(tmp_path / 'enc'))} --name enc")).data["job"])
    monkeypatch.setenv("MY_SERVER", "my-own-secret-token")
    place = up(engine, "serve enc --token-env MY_SERVER")
    assert [model.id for model in client(place, "my-own-secret-token").models.list()] == ["enc"]
    assert not place["token_file"]
    stop(engine, place)
    for file in engine.workspace.paths.root.rglob("*"):
        assert not file.is_file() or b"my-own-secret-token" not in file.read_bytes(), file


def test_percentiles_and_the_lines_of_requests() -> None:
    figures = Figures()
    for _ in range(20):
        with figures.request("POST", "/v1/completions") as request:
            request.status, request.tokens = 200, 3
            figures.piece(3)
    with figures.request("GET", "/v1/models") as request:
        request.status = 401
    found = figures.snapshot()
    assert (found.requests, found.failed, found.tokens, found.active) == (21, 1, 60, 0)
    assert 0 <= found.p50 <= found.p95
    lines = figures.lines()
    assert len(lines) == 21
    assert lines[0].startswith("POST /v1/completions 200 ")
    assert lines[0].endswith(" 3 tokens")
    assert figures.lines() == []


def adapter(folder: Path, base: Path) -> Path:
    """A LoRA with random weights, large enough to change what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=8, lora_alpha=64, target_modules="all-linear", init_lora_weights=False)
    )
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_transformers_serve_answers_the_openai_client(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter on the tiny model: chat (to the letter what `chat` says), completions, streams, and several at once."""
    pytest.importorskip("fastapi")
    from concurrent.futures import ThreadPoolExecutor

    from engine.engine import Engine

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"pull {adapter(tiny_home.parent / 'lora', tiny_home.parent / 'tiny')} --name herons")).data["job"])
        how = "--temperature 0 --repetition-penalty 1 --max-tokens 6 Say the word heron"
        plain, tuned = (engine.run(engine.parse(f"chat --model {name} --session {name} {how}")).data["answer"] for name in ("tiny", "herons"))
        assert plain != tuned
        place = up(engine, "serve herons --parallel 1")
        speak = client(place)
        talk = [{"role": "user", "content": "Say the word heron"}]
        whole = speak.chat.completions.create(model="herons", messages=talk, max_tokens=6, temperature=0)
        assert whole.choices[0].message.content == tuned
        assert whole.choices[0].finish_reason in ("length", "stop")
        assert whole.model == "herons"
        chunks = list(speak.chat.completions.create(model="herons", messages=talk, max_tokens=6, stream=True, temperature=0))
        assert chunks[-1].choices[0].finish_reason in ("length", "stop")
        assert {chunk.model for chunk in chunks} <= {"herons", None, ""}
        assert speak.completions.create(model="herons", prompt="heron", max_tokens=4).choices[0].text is not None
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: speak.chat.completions.create(model="herons", messages=talk, max_tokens=4), range(3)))
        assert len(answers) == 3
        data = stop(engine, place)
        assert data["failed"] == 0
        assert data["tokens"] > 6
    finally:
        engine.close(5)


@pytest.mark.slow
def test_llama_cpp_answers_the_openai_client(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model as a GGUF, and an adapter on it: chat, streams, completions, a JSON schema, several at once; a
    client that leaves."""
    from concurrent.futures import ThreadPoolExecutor

    from engine.engine import Engine
    from engine.models.gguf_write import write_gguf

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = tiny_home.parent / "small.gguf"
    write_gguf(tiny_home.parent / "tiny", file, "F32")
    engine = Engine(tiny_home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"pull {file} --name small")).data["job"])
        place = up(engine, "serve small --parallel 2")
        assert place["engine"] == "llama.cpp"
        speak = client(place)
        talk = [{"role": "user", "content": "What is a heron?"}]
        whole = speak.chat.completions.create(model="small", messages=talk, max_tokens=8, temperature=0)
        chunks = list(speak.chat.completions.create(model="small", messages=talk, max_tokens=8, temperature=0, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content
        assert whole.model == "small"
        assert 0 < speak.completions.create(model="small", prompt="A heron is", max_tokens=4).usage.completion_tokens <= 4
        shape = {"type": "json_schema", "json_schema": {"name": "bird", "schema": {"enum": ["heron"]}}}
        shaped = speak.chat.completions.create(model="small", messages=talk, max_tokens=90, temperature=0, response_format=shape)
        assert json.loads(shaped.choices[0].message.content) == "heron"
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: speak.chat.completions.create(model="small", messages=talk, max_tokens=4, seed=n), range(4)))
        assert all(answer.usage.completion_tokens for answer in answers)
        leaving = speak.chat.completions.create(model="small", messages=talk, max_tokens=300, stream=True)
        next(iter(leaving))
        leaving.close()
        data = stop(engine, place)
        assert data["requests"] >= 8  # the one that left may still be ending
        assert data["tokens"] >= 20
    finally:
        engine.close(5)
