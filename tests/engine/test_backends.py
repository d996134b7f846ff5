"""One request, two engines, the same answer: sampling, forms, tools, prefixes, plain continuation."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ModelError
from engine.inference.llamacpp import LlamaCpp
from engine.inference.pool import ModelPool
from engine.inference.protocol import Sampling
from engine.inference.stops import Stops
from engine.jobs.context import CancelToken
from engine.models.gguf_write import write_gguf
from engine.settings import Settings
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inference.protocol import Backend, Message

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=40)
HELLO: list[Message] = [{"role": "user", "content": "hello there"}]
CONVERSATIONS: list[list[Message]] = [
    HELLO,
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a heron?"}],
    [*HELLO, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Ünïcödé, “quotes” and 🐦"}],
    [*HELLO, {"role": "assistant", "content": "To be gone on wi"}],
]
ENGINES = ("llama", "torch")
SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object", "required": ["bird", "count", "grey"], "additionalProperties": False,
        "properties": {"bird": {"enum": ["heron", "stork"]}, "count": {"type": "integer", "minimum": 0, "maximum": 99}, "grey": {"type": "boolean"}},
    },
    {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 1, "maxItems": 3},
    {
        "type": "object", "required": ["name", "at"], "additionalProperties": False,
        "properties": {"name": {"type": "string", "maxLength": 8}, "at": {"type": "array", "items": {"enum": [1, 2.5, None]}, "maxItems": 2, "minItems": 2}},
    },
]  # fmt: skip


def say(backend: Backend, messages: list[Message] = HELLO, sampling: Sampling = GREEDY) -> str:
    return "".join(backend.stream(messages, sampling, CancelToken()))


def completed(backend: Backend, text: str, sampling: Sampling = GREEDY) -> str:
    return "".join(backend.complete(text, sampling, CancelToken()))


def both(pool: ModelPool, messages: list[Message] = HELLO, sampling: Sampling = GREEDY) -> list[str]:
    """What each engine says."""
    said = []
    for name in ENGINES:
        with pool.use(name) as backend:
            said.append(say(backend, messages, sampling))
    return said


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelPool]:
    """``llama`` and ``torch``: the same weights in the two engines."""
    root = tmp_path_factory.mktemp("backends")
    workspace = Workspace(root, Settings(context=512, threads=1, precise=True))
    folder = talkative(chat_model(root / "tiny"))
    write_gguf(folder, root / "tiny.gguf", "F32")
    workspace.models.put(ModelRecord("torch", "chat", "made", 1, folder=str(folder)))
    workspace.models.put(ModelRecord("llama", "chat", "made", 1, gguf=str(root / "tiny.gguf")))
    pool = ModelPool(workspace, hosted=False)
    yield pool
    pool.close()
    workspace.close()


@pytest.mark.parametrize(
    "sampling",
    [GREEDY, replace(GREEDY, repetition_penalty=1.3), replace(GREEDY, stop=("R", "mm")), replace(GREEDY, schema=SCHEMAS[0]), replace(GREEDY, regex="[a-f]{9,}/?")],
    ids=["plain", "penalty", "stop", "schema", "regex"],
)  # fmt: skip
def test_the_same_weights_say_the_same(pool: ModelPool, sampling: Sampling) -> None:
    for messages in CONVERSATIONS:
        said = []
        for name in ENGINES:
            with pool.use(name) as backend:
                text = say(backend, messages, sampling)
                said.append((text, backend.usage.prompt_tokens, backend.usage.finish))
        assert said[0] == said[1]
        assert len(set(said[0][0])) > 1, "the model says something"
    with pool.use("llama") as llama, pool.use("torch") as torch:
        for text in ("Once upon a time", "<|im_start|>user\nhello"):
            assert completed(llama, text, sampling) == completed(torch, text, sampling)


@pytest.mark.parametrize("name", ENGINES)
def test_every_setting_acts(pool: ModelPool, name: str) -> None:
    hot = Sampling(temperature=2.0, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0, max_tokens=24, seed=7)
    with pool.use(name) as backend:

        def said(**changes: Any) -> str:
            return say(backend, sampling=replace(hot, **changes))

        greedy = said(temperature=0)
        assert said() == said() != said(seed=8), "a seed fixes the answer"
        assert said(seed=None) != said(seed=None)
        assert said() != greedy == said(temperature=0.001)
        assert said(top_k=1) == greedy and said(top_p=0.001) == greedy and said(min_p=0.999) == greedy
        assert said(top_k=3) != greedy != said(top_p=0.5) and said(min_p=0.5) not in (greedy, said())
        assert said(temperature=0, repetition_penalty=2.0) != greedy
        said(max_tokens=3)
        assert (backend.usage.completion_tokens, backend.usage.finish) == (3, "length")
        stop = greedy[4:6]
        assert said(temperature=0, stop=(stop, "never")) == greedy[: greedy.index(stop)]
        assert backend.usage.finish == "stop"


def test_the_same_tokens_may_come(pool: ModelPool) -> None:
    """Temperature comes first and the filters after it, in both: the same candidates are left of the same logits."""
    narrow = Sampling(temperature=3.0, top_p=1.0, top_k=3, repetition_penalty=1.5, max_tokens=1)
    first: dict[str, set[str]] = {}
    for name in ENGINES:
        with pool.use(name) as backend:
            first[name] = {say(backend, sampling=replace(narrow, seed=seed)) for seed in range(20)}
    assert first["llama"] == first["torch"] and len(first["llama"]) == 3


@pytest.mark.parametrize("name", ENGINES)
def test_a_form_is_kept_whatever_the_seed(pool: ModelPool, name: str) -> None:
    from jsonschema import validate

    hot = Sampling(temperature=1.5, top_p=1.0, top_k=0, repetition_penalty=1.0, max_tokens=200)
    with pool.use(name) as backend:
        for seed in range(2):
            for schema in SCHEMAS:
                validate(json.loads(say(backend, sampling=replace(hot, schema=schema, seed=seed))), schema)
                assert backend.usage.finish == "stop"
            for regex in (r"\d{4}-(0[1-9]|1[0-2])", "(yes|no)/(and|or)", r"a+\nb?", "[^a-z]{3}"):
                assert re.fullmatch(regex, say(backend, sampling=replace(hot, regex=regex, seed=seed, top_k=60)))
            chosen = say(backend, sampling=replace(hot, choices=('“grey”, "or" \\ not', "🐦"), seed=seed))
            assert chosen in ('“grey”, "or" \\ not', "🐦")
        before = say(backend)
        for wrong, says in (
            ({"regex": "a(?=b)"}, "look-around"),
            ({"regex": "(a"}, "unclosed group"),
            ({"schema": {"type": "objekt"}}, "Invalid type: objekt"),
        ):
            with pytest.raises(ModelError, match=says) as caught:
                say(backend, sampling=replace(hot, **wrong))
            assert caught.value.hint
        assert say(backend) == before


@pytest.mark.parametrize("name", ENGINES)
def test_only_what_is_new_is_computed(pool: ModelPool, name: str) -> None:
    system: Message = {"role": "system", "content": "You know a lot about birds, and you say little about them."}
    with pool.use(name) as backend:
        first: list[Message] = [system, {"role": "user", "content": "What is a heron?"}]
        answer = say(backend, first, replace(GREEDY, max_tokens=12))
        prompt, new = backend.usage.prompt_tokens, "And a stork?"
        more: list[Message] = [*first, {"role": "assistant", "content": answer}, {"role": "user", "content": new}]
        warm = say(backend, more)
        assert backend.usage.cached >= prompt, "the second turn computes what came after the first question alone"
        other: list[Message] = [system, {"role": "user", "content": "Tell me of reeds."}]
        say(backend, other)
        shared = backend.count([system, {"role": "user", "content": ""}]) - 30
        assert backend.usage.cached >= shared > 40, "another conversation with that system prompt shares it"
        assert say(backend, more) == warm


@pytest.mark.parametrize("lookup", [0, 5])
def test_prompt_lookup_changes_no_word(pool: ModelPool, lookup: int) -> None:
    repeated: list[Message] = [{"role": "user", "content": "RRRRRRRRRR#R#R ooVV " * 4}]
    plain = both(pool, repeated, replace(GREEDY, max_tokens=60))
    settings = Settings(context=512, threads=1, precise=True, lookup=lookup)
    with pool.use("torch") as torch:
        assert say(torch, repeated, replace(GREEDY, max_tokens=60, lookup=lookup)) == plain[1]
        assert say(torch, repeated, replace(GREEDY, max_tokens=60)) == plain[1], "the cache is whole after it"
    drafting = LlamaCpp(pool.record("llama"), settings)
    assert say(drafting, repeated, replace(GREEDY, max_tokens=60)) == plain[0]
    assert json.loads(say(drafting, repeated, replace(GREEDY, max_tokens=80, schema=SCHEMAS[0])))
    drafting.close()


def test_text_before_a_stop_string() -> None:
    stops = Stops(("END", "\n\n"))
    assert [stops.take(piece) for piece in ("a E", "N", "x E", "ND of it", "more")] == ["a ", "", "ENx ", "", ""]
    assert stops.hit and stops.rest() == ""
    held = Stops(("END",))
    assert held.take("the EN") + held.rest() == "the EN" and not held.hit
