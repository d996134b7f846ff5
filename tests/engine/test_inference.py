"""Talking to models: llama.cpp on the starter, transformers on a tiny one, adapters on their base."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from engine.errors import ModelError, NotFound
from engine.inference.pool import ModelPool
from engine.inference.protocol import Read, Sampling
from engine.jobs.context import CancelToken
from engine.models.gguf_write import write_gguf
from engine.settings import Settings
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.inference.protocol import Backend, Message

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=24)


def say(backend: Backend, messages: list[Message], sampling: Sampling = GREEDY) -> str:
    return "".join(backend.stream(messages, sampling, CancelToken()))


def user(text: str) -> Message:
    return {"role": "user", "content": text}


@pytest.fixture
def pool(with_starter: Path) -> Iterator[ModelPool]:
    workspace = Workspace(with_starter, Settings(context=1024))
    made = ModelPool(workspace, hosted=False)
    yield made
    made.close()
    workspace.close()


@pytest.mark.slow
def test_llamacpp_streams_counts_reuses_and_stops(pool: ModelPool) -> None:
    with pool.use("smollm2") as backend:
        first = [user("Name three birds.")]
        pieces = list(backend.stream(first, GREEDY, CancelToken()))
        answer = "".join(pieces)
        assert len(pieces) > 3 and answer
        assert backend.usage.prompt_tokens == backend.count(first)
        assert backend.usage.finish in ("stop", "length") and backend.usage.first_token > 0

        more: list[Message] = [*first, {"role": "assistant", "content": answer}, user("And a fish?")]
        warm = say(backend, more)
        assert backend.usage.cached > backend.usage.prompt_tokens // 2, "the conversation so far was not computed again"
        say(backend, [user("Something else entirely, to turn the cache over.")])
        assert say(backend, more) == warm, "a reused prefix changes nothing"

        token, got = CancelToken(), 0
        for _ in backend.stream([user("Count to one thousand.")], Sampling(temperature=0, max_tokens=400), token):
            got += 1
            if got == 5:
                token.ask("cancel")
        assert got < 10 and backend.usage.finish == "cancel"

        with pytest.raises(ModelError, match="reads at most 1024"):
            say(backend, [user("word " * 3000)])
        assert say(backend, first) == answer, "an error leaves the model as it was"
        chosen = say(backend, [user("Which one?")], Sampling(temperature=0, max_tokens=40, choices=("The heron, “grey”.", "A stork\\s nest?")))
        assert chosen in ("The heron, “grey”.", "A stork\\s nest?")
        assert backend.count([user("<|im_end|>")]) > backend.count([user("x")]) + 2, "control tokens in a message are plain text"


@pytest.fixture
def tiny(home: Path) -> Iterator[tuple[Workspace, Path]]:
    workspace = Workspace(home, Settings(context=256))
    folder = chat_model(home / "tiny")
    workspace.models.put(ModelRecord("tiny", "chat", "made", 1, folder=str(folder)))
    yield workspace, folder
    workspace.close()


def adapter_of(folder: Path, out: Path, scale: float) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, scale)
    model.save_pretrained(out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("hosted", [False, True], ids=["inside", "in a process of its own"])
def test_transformers_streams_and_switches_adapters(tiny: tuple[Workspace, Path], home: Path, hosted: bool) -> None:
    workspace, folder = tiny
    adapter = adapter_of(folder, home / "adapter", 0.5)
    workspace.models.put(ModelRecord("tuned", "adapter", "made", 1, folder=str(adapter), base="tiny"))
    pool = ModelPool(workspace, hosted=hosted)
    try:
        with pool.use("tiny") as base:
            plain = say(base, [user("hello")])
            assert base.facts.context == 256 and base.facts.backend == "transformers" and base.facts.small
            assert base.usage.prompt_tokens == base.count([user("hello")])
        with pool.use("tuned") as tuned:
            other = say(tuned, [user("hello")])
            assert other != plain
            more: list[Message] = [user("hello"), {"role": "assistant", "content": other}, user("again")]
            warm = say(tuned, more)
            assert tuned.usage.cached > 0
        with pool.use("tiny") as base:
            assert say(base, [user("hello")]) == plain, "the adapter is off again"
            chosen = say(base, [user("which?")], Sampling(temperature=0, max_tokens=20, choices=("abc", "abd", "xyz")))
            assert chosen in ("abc", "abd", "xyz")
            with pytest.raises(ModelError, match="reads at most 256"):
                say(base, [user("x" * 400)])
            token, got, began = CancelToken(), 0, time.monotonic()
            for _ in base.stream([user("go on")], Sampling(temperature=1.0, seed=1, max_tokens=150), token):
                got += 1
                token.ask("cancel")
            assert base.usage.finish == "cancel" and base.usage.completion_tokens < 100 and time.monotonic() - began < 30
        pool.unload("tiny")
        with pool.use("tuned") as tuned:
            assert say(tuned, more) == warm, "a fresh load says the same"
        retrained = adapter_of(folder, home / "adapter", 0.9)
        workspace.models.put(ModelRecord("tuned", "adapter", "made", 1, folder=str(retrained), base="tiny"))
        with pool.use("tuned") as tuned:
            assert say(tuned, [user("hello")]) != other, "an adapter trained again under its name is served afresh"
    finally:
        pool.close()


def test_what_cannot_chat_says_so(tiny: tuple[Workspace, Path], home: Path) -> None:
    workspace, _ = tiny
    workspace.models.put(ModelRecord("enc", "encoder", "made", 1, folder=str(home)))
    pool = ModelPool(workspace, hosted=False)
    with pytest.raises(ModelError, match="encoder: it can't chat"), pool.use("enc"):
        pass
    with pytest.raises(NotFound, match="no model called “tinny”") as caught, pool.use("tinny"):
        pass
    assert "tiny" in caught.value.hint
    with pytest.raises(NotFound, match="no chat model yet"), pool.use():
        pass


@pytest.mark.slow
def test_a_damaged_file_is_a_clear_error(tiny: tuple[Workspace, Path], home: Path) -> None:
    workspace, folder = tiny
    (home / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 200)
    workspace.models.put(ModelRecord("bad", "chat", "made", 1, gguf=str(home / "bad.gguf")))
    (folder / "model.safetensors").write_bytes(b"not tensors")
    pool = ModelPool(workspace, hosted=False)
    for name in ("bad", "tiny"):
        with pytest.raises(ModelError) as caught, pool.use(name) as backend:
            say(backend, [user("hello")])
        assert caught.value.hint
        assert not pool.holding(), "nothing of it is held"


@pytest.mark.slow
def test_llamacpp_in_a_process_of_its_own_says_the_same_and_takes_nobody_with_it(tiny: tuple[Workspace, Path], home: Path) -> None:
    workspace, folder = tiny
    write_gguf(talkative(folder), home / "tiny.gguf", "F32")
    workspace.models.put(ModelRecord("tiny", "chat", "made", 1, gguf=str(home / "tiny.gguf")))
    long = [user("go on")]
    said = {}
    for hosted in (False, True):
        pool = ModelPool(workspace, hosted=hosted)
        try:
            with pool.use("tiny") as backend:
                said[hosted] = [say(backend, long), asdict(backend.usage) | {"first_token": 0, "rate": 0}, backend.facts, backend.count(long)]
            [held] = pool.loaded()
            assert bool(held.process) == hosted and held.as_data()["measured"] == hosted
            if not hosted:
                continue
            with pool.use("tiny") as backend, pytest.raises(ModelError, match="crashed \\(signal 6\\)"):
                for _ in backend.stream(long, GREEDY, CancelToken()):
                    os.kill(held.process or 0, signal.SIGABRT)
            assert not pool.holding() and not pool.loaded()
            with pool.use("tiny") as backend:
                assert say(backend, long) == said[False][0], "it is loaded afresh"
            assert pool.unload() == ["tiny"]
        finally:
            pool.close()
    assert said[True] == said[False]


@pytest.mark.parametrize("hosted", [False, True], ids=["inside", "in a process of its own"])
def test_llamacpp_says_how_far_it_reads_and_stops_in_the_middle_of_it(tiny: tuple[Workspace, Path], home: Path, hosted: bool) -> None:
    kept, folder = tiny
    workspace = Workspace(kept.paths.root, Settings(context=256, batch=32))
    write_gguf(talkative(folder), home / "tiny.gguf", "F32")
    workspace.models.put(ModelRecord("tiny", "chat", "made", 1, gguf=str(home / "tiny.gguf")))
    pool = ModelPool(workspace, hosted=hosted)
    long = [user("herons and reeds " * 9)]
    try:
        with pool.use("tiny") as backend:
            told: list[Read] = []
            backend.reading = told.append
            answer = say(backend, long)
            total = backend.usage.prompt_tokens
            assert [read.done for read in told] == sorted(read.done for read in told) and told[-1] == Read(total, total) and len(told) > total // 32
        with pool.use("tiny") as backend:
            token, reads = CancelToken(), list[Read]()

            def stop(read: Read) -> None:
                reads.append(read)
                token.ask("cancel")

            backend.reading = stop
            assert "".join(backend.stream([user("a pond of lilies " * 9)], GREEDY, token)) == ""
            assert backend.usage.finish == "cancel" and reads[-1].done < reads[-1].total
        with pool.use("tiny") as backend:
            assert say(backend, long) == answer
    finally:
        pool.close()
        workspace.close()
