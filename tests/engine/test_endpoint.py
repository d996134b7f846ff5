"""A model behind a real server: llama.cpp's own, on loopback, with a key; and servers that fail."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.errors import BitternError, ModelError
from tests.engine.conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path


def run(engine: Engine, line: str) -> dict:
    return engine.run(engine.parse(line)).data


def test_connect_chat_and_disconnect(engine: Engine, served: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("LLM_KEY", KEY)
    found = run(engine, f"connect served {served} --key-env LLM_KEY")
    assert found["facts"]["key_env"] == "LLM_KEY" and found["facts"]["context"] == 512 and len(found["served"]) == 1
    said = run(engine, "chat --model served --temperature 0 --max-tokens 12 hello there")
    assert said["answer"] and said["model"] == "served" and said["usage"]["prompt_tokens"] == 30 and said["usage"]["completion_tokens"] == 12
    assert run(engine, "chat --model served --temperature 0 --regex [abc]{4}x --session other hi")["answer"][-1] == "x"
    assert run(engine, "chat --model served --choices yes,no --session third hi")["answer"] in ("yes", "no")
    schema = home.parent / "schema.json"
    schema.write_text('{"type": "object", "required": ["n"], "properties": {"n": {"enum": [1, 2]}}, "additionalProperties": false}')
    assert run(engine, f"chat --model served --json-schema {schema} --session fourth hi")["value"]["n"] in (1, 2)
    assert run(engine, "complete --model served --temperature 0 --max-tokens 5 Once upon a time")["text"]
    before = run(engine, "sessions")
    monkeypatch.setenv("LLM_KEY", "wrong")
    with pytest.raises(ModelError, match="refuses the key") as caught:
        run(engine, "chat --model served again")
    assert caught.value.hint and "wrong" not in str(caught.value)
    monkeypatch.delenv("LLM_KEY")
    with pytest.raises(ModelError, match="environment variable LLM_KEY"):
        run(engine, "chat --model served again")
    assert len(run(engine, "sessions")["sessions"]) == len(before["sessions"]), "the conversations are there"
    assert not [file for file in home.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()], "the key is nowhere on disk"
    with pytest.raises(BitternError, match="no model there called"):
        monkeypatch.setenv("LLM_KEY", KEY)
        run(engine, f"connect other {served} --key-env LLM_KEY --model nothing")
    run(engine, "disconnect served")
    assert "served" not in [model["model"] for model in run(engine, "models")["models"]]


def test_a_dead_server_is_said(engine: Engine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="can't be reached") as caught:
        run(engine, f"connect dead http://127.0.0.1:{port}/v1")
    assert "Start the server" in caught.value.hint
    for url in ("ftp://x", "http://", "https://me:secret@host/v1"):
        with pytest.raises(BitternError) as wrong:
            run(engine, f"connect dead {url}")
        assert wrong.value.hint and "secret" not in str(wrong.value)


def test_a_cancel_is_heard_while_a_server_is_silent(engine: Engine) -> None:
    from engine.inference.endpoint import Endpoint
    from engine.inference.protocol import Sampling
    from engine.jobs.context import CancelToken
    from engine.settings import Settings
    from engine.store.models import ModelRecord

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        backend = Endpoint(ModelRecord("mute", "endpoint", url, 0, facts={"url": url, "model": "m"}), Settings())
        token = CancelToken()
        pieces = backend.stream([{"role": "user", "content": "hello"}], Sampling(), token)
        token.ask("cancel")
        began = time.monotonic()
        assert list(pieces) == [] and backend.usage.finish == "cancel" and time.monotonic() - began < 30
