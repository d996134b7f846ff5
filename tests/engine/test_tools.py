"""Tools: how models write calls, and a model that calls, from the command line to the screen. Nothing calls a tool."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import BitternError, ModelError
from engine.inference.calls import Calls, parse
from engine.store.models import ModelRecord
from tests.fakes.tiny import chat_model, talkative, with_tools
from tui.state.chat import ChatState

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

PLAIN = SimpleNamespace(all_special_tokens=["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "[TOOL_CALLS]", "<|python_tag|>"])
"""What the parser asks of a tokenizer."""
WEATHER = {"name": "weather", "arguments": {"city": "Graz"}}
TOOL = {
    "name": "weather", "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "said", "calls"),
    [
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Graz"}}\n</tool_call><|im_end|>', "", [WEATHER]),  # Hermes, Qwen
        ('I look.\n<tool_call>{"name": "weather", "arguments": {"city": "Graz"}}</tool_call>\n'
         '<tool_call>{"name": "now", "arguments": {}}</tool_call>', "I look.", [WEATHER, {"name": "now", "arguments": {}}]),
        ('<tool_call>{"name": "weather", "arguments": {"city": "Graz"}}', "", [WEATHER]),  # its end was the stop token
        ('{"name": "weather", "parameters": {"city": "Graz"}}<|eot_id|>', "", [WEATHER]),  # Llama 3.1
        ('<|python_tag|>{"name": "weather", "parameters": {"city": "Graz"}}; {"name": "now", "parameters": {}}<|eom_id|>', "",
         [WEATHER, {"name": "now", "arguments": {}}]),
        ('[{"type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"Graz\\"}"}}]', "", [WEATHER]),  # OpenAI's
        ('[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Graz"}, "id": "VvvODy9mT"}]</s>', "", [WEATHER]),  # Mistral v3
        ('[TOOL_CALLS]weather[ARGS]{"city": "Graz"}[TOOL_CALLS]now[ARGS]{}</s>', "", [WEATHER, {"name": "now", "arguments": {}}]),  # v11
        ('[TOOL_CALLS]weather{"city": "Graz"}</s>', "", [WEATHER]),
        ("It is fine in Graz.<|im_end|>", "It is fine in Graz.", []),
        ('{"city": "Graz"}<|im_end|>', '{"city": "Graz"}', []),  # JSON, and no call
        ('<tool_call>{"name": "weather", </tool_call>', '<tool_call>{"name": "weather", </tool_call>', []),
        ("[1] says so, {really}.", "[1] says so, {really}.", []),
    ],
)  # fmt: skip
def test_calls_as_models_write_them(written: str, said: str, calls: list[dict[str, Any]]) -> None:
    text, found = parse(PLAIN, written, "")
    assert (text, [{"name": call["name"], "arguments": call["arguments"]} for call in found]) == (said, calls)
    assert len({call["id"] for call in found}) == len(calls)


def test_calls_that_a_server_streams_in_fragments() -> None:
    calls = Calls()
    for fragment in (
        {"index": 0, "id": "a", "function": {"name": "weather", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "now", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '{"city": '}},
        {"index": 0, "function": {"arguments": '"Graz"}'}},
        {"index": 2, "id": "c", "function": {"name": "broken", "arguments": '{"a":'}},
    ):
        calls.take([fragment])
    calls.take(None)
    assert calls.found() == [{"id": "a", **WEATHER}, {"id": "b", "name": "now", "arguments": {}}, {"id": "c", "name": "broken", "arguments": '{"a":'}]


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Engine:
    """An engine that knows ``tiny``, whose template knows tools, ``plain``, whose template knows none, and ``tools.json``."""
    for name in ("tiny", "plain"):
        folder = talkative(chat_model(tmp_path / name))
        engine.workspace.models.put(ModelRecord(name, "chat", "made", 1, folder=str(folder)))
    with_tools(tmp_path / "tiny")
    (tmp_path / "tools.json").write_text(json.dumps([TOOL]))
    return engine


def run(engine: Engine, line: str) -> Any:
    return engine.run(engine.parse(line))


@pytest.mark.slow
def test_a_model_calls_a_tool_and_it_is_shown(house: Engine, tmp_path: Path) -> None:
    tools = f"--tools {tmp_path / 'tools.json'} --temperature 0 --max-tokens 120"
    call = r'ok <tool_call>\{"name": "weather", "arguments": \{"city": "(Graz|Rome)"\}\}</tool_call>'
    result = run(house, f"chat --model tiny {tools} --regex '{call}' What is the weather?")
    [found] = result.data["calls"]
    assert found["name"] == "weather" and found["arguments"]["city"] in ("Graz", "Rome") and found["id"]
    assert result.data["answer"].strip() == "ok" and "<tool_call>" not in result.data["answer"]
    assert result.summary == result.data["remarks"] == f'It would call weather({{"city": "{found["arguments"]["city"]}"}}).'
    assert result.data["usage"]["prompt_tokens"] > len(json.dumps(TOOL)), "the model reads of the tool (a token is a byte)"
    bare = run(house, f"chat --model tiny {tools} --session bare --regex '{call[3:]}' And now?")
    assert bare.data["answer"] == "" and len(bare.data["calls"]) == 1
    state = ChatState()
    state.load(house.workspace.sessions.messages("bare"))
    assert state.messages[-1].remarks == bare.summary and state.messages[-1].text == "", "it is kept, and shown again"
    again = run(house, f"chat --model tiny {tools} --session bare --regex [abc]{{5}} Once more?")
    assert again.data["calls"] == [] and again.summary == "" and len(again.data["answer"]) == 5
    with pytest.raises(ModelError, match="its chat template knows none"):
        run(house, f"chat --model plain {tools} --session plain What is the weather?")


@pytest.mark.slow
def test_an_answer_in_json_is_a_value(house: Engine, tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["bird", "count"], "additionalProperties": False,
              "properties": {"bird": {"enum": ["heron", "reed"]}, "count": {"type": "integer", "minimum": 0, "maximum": 99}}}  # fmt: skip
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    result = run(house, f"chat --model plain --max-tokens 80 --seed 1 --json-schema {tmp_path / 'schema.json'} Which bird?")
    assert result.data["value"] == json.loads(result.data["answer"]) and result.data["value"]["bird"] in ("heron", "reed")
    assert result.summary == ""
    cut = run(house, f"chat --model plain --max-tokens 5 --seed 1 --json-schema {tmp_path / 'schema.json'} --session cut Which bird?")
    assert cut.data["value"] is None and "cut off at --max-tokens" in cut.summary


@pytest.mark.parametrize(
    ("flag", "written", "says"),
    [
        ("--tools", "{nonsense", "is no JSON"), ("--tools", '[{"description": "x"}]', "Tool 1 has no name"), ("--tools", None, "can't be read"),
        ("--json-schema", "[]", "is an object"), ("--json-schema", '{"type": "objekt"}', "can't be followed"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(house: Engine, tmp_path: Path, flag: str, written: str | None, says: str) -> None:
    file = tmp_path / "given.json"
    if written is not None:
        file.write_text(written)
    with pytest.raises(BitternError, match=says) as caught:
        run(house, f"chat --model plain {flag} {file} hello")
    assert caught.value.hint
