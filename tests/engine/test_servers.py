"""Servers that fail, and what is sent to one: a small real HTTP server that speaks OpenAI's protocol, and our own `serve`."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import BitternError, ModelError
from engine.events import TokenDelta
from engine.jobs.context import CancelToken
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from tests.engine.test_serve import stop, up
from tests.fakes.follow import finish
from tests.fakes.openai_server import MODELS, Server, openai_server
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as running:
        yield running


@pytest.fixture
def house(engine: Engine, server: Server) -> Engine:
    """An engine to which every model of the server is connected, under its id."""
    for model in MODELS:
        run(engine, f"connect m-{model} {server.url} --model {model}")
    return engine


def run(engine: Engine, line: str, **more: Any) -> dict[str, Any]:
    return engine.run(engine.parse(line), **more).data


def test_each_failure_says_what_and_what_to_do(house: Engine) -> None:
    for model, says, way in (
        ("403", "refuses the key: that is 403", "connect it again"),
        ("429", "asked too often", "Wait a little"),
        ("500", "failed: status 500", "server's own log"),
        ("503", "failed: status 503", "server's own log"),
        ("refuses --top-k 7", "status 400: unknown option: top_k", "leave it out"),
        ("garbage", "broke off in the middle", "Try again"),
    ):
        for verb in ("chat", "complete"):
            with pytest.raises(ModelError) as caught:
                run(house, f"{verb} --model m-{model} hello")
            assert says.split(":")[0] in caught.value.message and way in caught.value.hint, (verb, caught.value.message)
            assert "\x1b" not in caught.value.message
    assert "hello" in run(house, "chat --model m-echo --session after hello")["answer"], "the session goes on"
    said = [run(house, "chat --model m-refuses --session usual hello")["answer"], run(house, "complete --model m-refuses hello")["text"]]
    assert all("hello" in text for text in said), "our usual top-k, which nobody asked for, is left out"


def test_what_is_no_server_of_models_is_told_when_it_is_connected(engine: Engine) -> None:
    for answer in (b"<html>", b"[1]", None):
        with stranger(answer) as url, pytest.raises(ModelError, match="does not speak OpenAI's protocol") as caught:
            run(engine, f"connect far {url}")
        assert "address" in caught.value.hint


def test_a_served_model_is_no_model_of_this_machine(house: Engine) -> None:
    for line in ("load m-echo", "tokens --model m-echo hello", "fit m-echo"):
        with pytest.raises(ModelError, match="runs on a server"):
            run(house, line)
    table = house.run(house.parse("models")).table
    assert table and {tuple(row[1:4]) for row in table.rows} == {("endpoint", "a server", "")}


@contextmanager
def stranger(answer: bytes | None) -> Iterator[str]:
    """A server that answers everything with the same bytes, or knows nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if answer else 404)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1"
        running.shutdown()


def test_a_server_that_dies_in_the_middle_leaves_what_it_said(house: Engine) -> None:
    with pytest.raises(ModelError, match="broke off in the middle"):
        run(house, "chat --model m-dies --session dying hello")
    last = house.workspace.sessions.messages("dying")[-1]
    assert (last.role, last.text, last.facts["usage"]["finish"]) == ("assistant", "half an ", "error")


def test_a_cancel_in_mid_stream_hangs_up(house: Engine, server: Server) -> None:
    token, begun = CancelToken(), threading.Event()
    found: list[dict[str, Any]] = []

    def hear(event: Any) -> None:
        if isinstance(event, TokenDelta):
            begun.set()

    def chat() -> None:
        found.append(run(house, "chat --model m-slow --session slow count", emit=hear, cancel=token))

    thread = threading.Thread(target=chat)
    thread.start()
    assert begun.wait(30)
    token.ask("cancel")
    began = time.monotonic()
    thread.join(20)
    took = time.monotonic() - began
    assert not thread.is_alive() and took < 10, f"600 words take 30 s; it took {took:.1f} s"
    assert found[0]["usage"]["finish"] == "cancel" and found[0]["answer"].startswith("0 ")
    assert server.hung_up.wait(10), "the server need not go on for nobody"


def test_calls_and_thoughts_of_a_server(house: Engine, server: Server, tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps({"name": "weather", "parameters": {"type": "object"}}))
    found = run(house, f"chat --model m-calls --tools {tmp_path / 'tools.json'} What is the weather?")
    assert [(call["name"], call["arguments"]) for call in found["calls"]] == [("weather", {"city": "Graz"})]
    assert server.requests[-1]["tools"][0]["function"]["name"] == "weather"
    assert run(house, "chat --model m-thinks --session thinking hello")["answer"] == "<think>Hm.</think>Yes"
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    run(house, f"chat --model m-echo --session form --temperature 0 --seed 3 --stop END --json-schema {tmp_path / 'schema.json'} hello")
    sent = server.requests[-1]
    assert (sent["temperature"], sent["seed"], sent["stop"], sent["response_format"]["type"]) == (0, 3, ["END"], "json_schema")
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"} and "value" not in sent["response_format"]
    assert server.keys[-1] in ("", "Bearer none"), "a stranger is never sent the Hub's token"


@pytest.fixture
def ring() -> Iterator[dict[tuple[str, str], str]]:
    """A keyring that is a dictionary."""
    import keyring
    from keyring.backend import KeyringBackend

    kept: dict[tuple[str, str], str] = {}

    class Ring(KeyringBackend):
        priority = 9

        def get_password(self, service: str, username: str) -> str | None:
            return kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            kept[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    yield kept
    keyring.set_keyring(before)


def test_a_key_goes_to_the_keyring_and_nowhere_else(engine: Engine, server: Server, ring: dict[tuple[str, str], str], home: Path) -> None:
    line = f"connect locked {server.url} --model echo --key-from-keyring"
    command = engine.parse(line)
    assert command.asks and not engine.parse(f"connect open {server.url} --model echo").asks
    with pytest.raises(ModelError, match="no key called “locked”"):
        run(engine, line)
    server.lock = "sk-heron-77"
    with pytest.raises(ModelError, match="refuses the key"):
        run(engine, line, secret="wrong")
    assert not ring, "a key that does not open is not kept"
    assert run(engine, line, secret="sk-heron-77")["facts"]["keyring"] == "locked"
    assert ring == {("bittern", "locked"): "sk-heron-77"}
    run(engine, line)
    assert "hello" in run(engine, "chat --model locked hello")["answer"]
    assert not [file for file in home.rglob("*") if file.is_file() and b"sk-heron-77" in file.read_bytes()], "the key is nowhere on disk"


def test_without_a_keyring_it_is_said(engine: Engine, server: Server) -> None:
    import keyring
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    with pytest.raises(ModelError, match="no keyring") as caught:
        run(engine, f"connect locked {server.url} --model echo --key-from-keyring")
    assert "--key-env" in caught.value.hint
    keyring.set_keyring(before)


def test_pictures_go_to_a_server_and_to_no_model_that_is_blind(house: Engine, server: Server, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (3000, 20), (10, 200, 30)).save(tmp_path / "wide.jpg")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(BitternError, match="no picture that can be read"):
        run(house, f"attach {tmp_path / 'broken.png'}")
    attached = run(house, f"attach {tmp_path / 'wide.jpg'}")["attached"]
    assert [item["kind"] for item in attached] == ["image"]
    (tmp_path / "wide.jpg").unlink()
    run(house, "chat --model m-echo What do you see?")
    picture, words = server.requests[-1]["messages"][-1]["content"]
    assert words == {"type": "text", "text": "What do you see?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (1536, 10) and sent.getpixel((5, 5))[1] > 180
    run(house, "chat --model m-echo And now?")
    assert len(server.requests[-1]["messages"]) == 3 and server.requests[-1]["messages"][0]["content"][0]["type"] == "image_url"
    folder = chat_model(tmp_path / "tiny")
    write_gguf(folder, tmp_path / "tiny.gguf")
    house.workspace.models.put(ModelRecord("blind", "chat", "made", 1, folder=str(folder)))
    house.workspace.models.put(ModelRecord("blind-gguf", "chat", "made", 1, gguf=str(tmp_path / "tiny.gguf")))
    for name in ("blind", "blind-gguf"):
        with pytest.raises(ModelError, match="does not see") as caught:
            run(house, f"chat --model {name} And you?")
        assert "clear" in caught.value.hint
    run(house, "clear")
    assert run(house, "chat --model blind --max-tokens 3 hello")["usage"]["completion_tokens"]


def test_a_row_with_a_picture_takes_it_along(house: Engine, server: Server, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("heron", "reed"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "birds" / name / "a.png")
    finish(house, run(house, f"add {tmp_path / 'birds'} --name birds")["job"])
    split = next(iter(house.workspace.datasets.get("birds").splits))
    run(house, f"attach birds/{split}/0")
    run(house, "chat --model m-echo What is it?")
    picture, words = server.requests[-1]["messages"][-1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,") and "birds/" in words["text"]


@pytest.mark.slow
def test_our_own_serve_is_a_server_like_any_other(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(talkative(chat_model(tmp_path / "tiny")), tmp_path / "tiny.gguf", "F32")
    engine.workspace.models.put(ModelRecord("tiny", "chat", "made", 1, gguf=str(tmp_path / "tiny.gguf")))
    place = up(engine, "serve tiny")
    try:
        with pytest.raises(ModelError, match="refuses the key"):
            run(engine, f"connect own {place['base_url']}")
        monkeypatch.setenv("OWN_KEY", Path(place["token_file"]).read_text())
        run(engine, f"connect own {place['base_url']} --key-env OWN_KEY")
        line = "--temperature 0 --max-tokens 12 --repetition-penalty 1 hello there"
        far, near = (run(engine, f"chat --model {name} --session {name} {line}") for name in ("own", "tiny"))
        assert far["answer"] == near["answer"] != "" and far["usage"]["prompt_tokens"] == near["usage"]["prompt_tokens"]
        assert run(engine, "chat --model own --session form --choices yes,no hi")["answer"] in ("yes", "no")
    finally:
        stop(engine, place)
    with pytest.raises(ModelError, match=r"can't be reached|broke off"):
        run(engine, "chat --model own --session after hello")
