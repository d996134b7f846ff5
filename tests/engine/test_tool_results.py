"""Calls to the end: a model that really writes them, in each engine and through each server, and goes on from the result."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError, ModelError
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from tests.engine.test_serve import client, stop, up
from tests.fakes.calling import ANSWER, ARGUMENTS, QUESTION, TOOL, calling_model

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
HOW = "--temperature 0 --repetition-penalty 1 --max-tokens 90"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that knows ``torch`` and ``llama``, the same weights in the two engines; ``tools.json`` is beside its home."""
    root = tmp_path_factory.mktemp("calling")
    os.environ["BITTERN_RUNNER"] = "thread"
    folder = calling_model(root / "tiny")
    write_gguf(folder, root / "tiny.gguf", "F32")
    (root / "tools.json").write_text(json.dumps([TOOL]))
    opened = Engine(root / "home", everything=True)
    try:
        opened.workspace.models.put(ModelRecord("torch", "chat", "made", 1, folder=str(folder)))
        opened.workspace.models.put(ModelRecord("llama", "chat", "made", 1, gguf=str(root / "tiny.gguf")))
        yield opened
    finally:
        opened.close(5)
        del os.environ["BITTERN_RUNNER"]


def run(engine: Engine, line: str) -> dict[str, Any]:
    return engine.run(engine.parse(line)).data


def asked(engine: Engine, name: str, session: str) -> dict[str, Any]:
    """The chat in which ``name`` is asked for the weather."""
    tools = engine.workspace.paths.root.parent / "tools.json"
    return run(engine, f"chat --model {name} --session {session} --tools {tools} {HOW} {QUESTION['content']}")


def answered(engine: Engine, name: str) -> dict[str, Any]:
    """The whole way: asked, called, told."""
    [call] = asked(engine, name, name)["calls"]
    assert (call["name"], call["arguments"]) == ("weather", ARGUMENTS) and call["id"]
    return run(engine, f"result --session {name} {HOW} fine, 12 degrees")


@pytest.mark.parametrize("name", ["torch", "llama"])
def test_a_model_goes_on_from_what_its_tool_gave_back(house: Engine, name: str) -> None:
    told = answered(house, name)
    assert told["answer"] == ANSWER and told["usage"]["prompt_tokens"] == 390, "the same words in both engines, the tools among them"
    again = run(house, f"regenerate --model {name} --session {name} {HOW}")
    assert again["answer"] == ANSWER and len(again["siblings"]) == 2
    with pytest.raises(BitternError, match="calls no tool"):
        run(house, f"result --session {name} once more")
    record = house.workspace.sessions.messages(name)[2]
    assert record.facts["result"]["name"] == "weather" and record.text == "fine, 12 degrees"


def test_what_was_called_is_exported_to_train_on(house: Engine, tmp_path: Path) -> None:
    asked(house, "torch", "kept")
    with pytest.raises(BitternError, match="No call “other” waits"):
        run(house, "result --session kept --call other fine")
    run(house, f"result --session kept --call weather {HOW} fine, 12 degrees")
    run(house, f"export-chat kept --to {tmp_path / 'kept.jsonl'}")
    [line] = (tmp_path / "kept.jsonl").read_text().splitlines()
    messages = json.loads(line)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": ARGUMENTS}
    assert messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]


@pytest.mark.parametrize("name", ["llama", "torch"])
def test_the_openai_client_calls_and_tells(house: Engine, name: str) -> None:
    """Through llama.cpp's server, and through `transformers serve`, which knows no ``tool_choice``."""
    pytest.importorskip("fastapi" if name == "torch" else "openai")
    place = up(house, f"serve {name} --parallel 1")
    try:
        speak = client(place).chat.completions
        ask: dict[str, Any] = {"model": name, "tools": [TOOL], "temperature": 0, "max_tokens": 90}
        choices: list[Any] = ["auto", "required", {"type": "function", "function": {"name": "weather"}}]
        for choice in choices if name == "llama" else choices[:1]:
            said = speak.create(messages=[QUESTION], tool_choice=choice, **ask).choices[0]
            [call] = said.message.tool_calls
            assert said.finish_reason == "tool_calls" and json.loads(call.function.arguments) == ARGUMENTS and not said.message.content
        if name == "llama":
            assert speak.create(messages=[QUESTION], tool_choice="none", **ask).choices[0].message.tool_calls is None
        chunks = [chunk.choices[0].delta for chunk in speak.create(messages=[QUESTION], stream=True, **ask) if chunk.choices]
        parts = [part.function.arguments or "" for delta in chunks for part in delta.tool_calls or []]
        assert json.loads("".join(parts)) == ARGUMENTS
        gone_on = [QUESTION, said.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "fine, 12 degrees"}]
        assert speak.create(messages=gone_on, **ask).choices[0].message.content == ANSWER
        os.environ["CALLING_KEY"] = Path(place["token_file"]).read_text()
        run(house, f"connect far-{name} {place['base_url']} --key-env CALLING_KEY")
        assert answered(house, f"far-{name}")["answer"] == ANSWER, "a served model, through the endpoint backend"
    finally:
        os.environ.pop("CALLING_KEY", None)
        stop(house, place)


def test_a_template_that_refuses_is_told(house: Engine, tmp_path: Path) -> None:
    from shutil import copytree

    folder = copytree(house.workspace.models.get("torch").folder, tmp_path / "strict")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('only haiku') }}")
    house.workspace.models.put(ModelRecord("strict", "chat", "made", 1, folder=str(folder)))
    with pytest.raises(ModelError, match="refuses this conversation: only haiku") as caught:
        run(house, "chat --model strict --session strict hello")
    assert caught.value.hint
