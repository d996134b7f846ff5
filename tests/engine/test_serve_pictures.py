"""Pictures through `serve`: data in the request reaches a model that sees, by either engine; addresses are never opened."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.models.gguf_write import write_gguf
from engine.serving.media import addresses
from tests.engine.test_serve import ask, client, stop, up
from tests.fakes.follow import done
from tests.fakes.pictures import png
from tests.fakes.projector import as_gguf
from tests.fakes.seeing import seeing_model
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "grey": (128, 128, 128)}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that has pulled ``torch`` (a LLaVA's folder), ``llama`` (the same as a GGUF with its projector) and ``blind``."""
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    for name in ("gguf", "blind"):
        (tmp_path / name).mkdir()
    as_gguf(seeing_model(tmp_path / "torch"), tmp_path / "gguf")
    write_gguf(chat_model(tmp_path / "tiny"), tmp_path / "blind" / "m.gguf", "F32")
    engine = Engine(tmp_path / "home", everything=True)
    try:
        for name, folder in (("torch", "torch"), ("llama", "gguf"), ("blind", "blind")):
            done(engine, f"pull {tmp_path / folder} --name {name}")
        yield engine
    finally:
        engine.close(5)


def picture(colour: tuple[int, ...]) -> str:
    return "data:image/png;base64," + base64.b64encode(png(16, 16, colour)).decode()


def seen(place: dict[str, Any], url: str) -> str:
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    asked: Any = [{"role": "user", "content": parts}]
    answer = client(place).chat.completions.create(model=place["model"], messages=asked, max_tokens=8, temperature=0)
    return str(answer.choices[0].message.content)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "engine"), [("llama", "llama.cpp"), ("torch", "transformers serve")])
def test_a_served_model_sees_the_picture_of_a_request(house: Engine, name: str, engine: str) -> None:
    """Three colours, three answers, and another Bittern that is connected to it sees as well."""
    import openai

    pytest.importorskip("fastapi")
    place = up(house, f"serve {name} --parallel 1")
    assert place["engine"] == engine
    assert len({seen(place, picture(colour)) for colour in COLOURS.values()}) == 3
    for address in ("http://127.0.0.1:9/heron.png", "file:///etc/hostname", "/etc/hostname"):
        with pytest.raises(openai.BadRequestError, match="A picture goes along as data"):
            seen(place, address)
    stop(house, place)


@pytest.mark.slow
def test_a_connected_workspace_sends_its_pictures(house: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = up(house, "serve llama")
    monkeypatch.setenv("OTHER_KEY", client(place).api_key)
    other = Engine(tmp_path / "other", everything=True)
    try:
        other.run(other.parse(f"connect far {place['base_url']} --key-env OTHER_KEY"))
        answers = set()
        for name, colour in COLOURS.items():
            (tmp_path / f"{name}.png").write_bytes(png(16, 16, colour))
            other.run(other.parse(f"attach {tmp_path / name}.png --session {name}"))
            how = "--temperature 0 --repetition-penalty 1 --max-tokens 8"
            answers.add(other.run(other.parse(f"chat --model far --session {name} {how} What is it?")).data["answer"])
        assert len(answers) == 3
    finally:
        other.close(5)
    stop(house, place)


@pytest.mark.slow
def test_a_served_model_without_eyes_says_so(house: Engine) -> None:
    place = up(house, "serve blind")
    body = f'{{"messages": [{{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "{picture((1, 2, 3))}"}}}}]}}]}}'
    status, told = ask(place, "/v1/chat/completions", body.encode())
    assert (status, told["error"]["code"]) == (400, "no_pictures")
    assert "blind does not see" in told["error"]["message"]
    stop(house, place)


def test_every_place_of_a_picture_is_found() -> None:
    def chat(*parts: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": list(parts)}]}

    def found(body: dict[str, Any]) -> list[str]:
        return list(addresses(body))

    inside = {"type": "image_url", "image_url": {"url": "data:,AAAA"}}
    assert found(chat(inside, {"type": "text", "text": "see http://example.org"}, "odd", 3)) == ["data:,AAAA"]
    assert found(chat(inside, {"type": "image_url", "image_url": {"url": "http://a/b"}})) == ["data:,AAAA", "http://a/b"]
    assert found(chat({"type": "video_url", "video_url": {"url": "file:///x"}})) == ["file:///x"]
    assert found({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a/c"}]}]}) == ["http://a/c"]
    assert found({"input": [{"type": "input_image", "image_url": "/etc/hostname"}]}) == ["/etc/hostname"]
    assert found({"input": "a text", "messages": "nothing"}) == []
    assert found({"tools": [{"image_url": "http://in/a/schema"}], "messages": [None]}) == []
