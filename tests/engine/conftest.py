"""Fixtures of the engine's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.models.gguf_write import write_gguf
from tests.fakes.adding import Bench
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KEY = "sk-heron-4711"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of llama.cpp's own HTTP server with the tiny model; it wants ``KEY``."""
    import xllamacpp

    from engine.inference.llama_server import open_server

    root = tmp_path_factory.mktemp("served")
    write_gguf(talkative(chat_model(root / "tiny")), root / "tiny.gguf", "F32")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(root / "tiny.gguf")
    parameters.n_ctx, parameters.n_parallel = 512, 1
    server = open_server(parameters, KEY)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    made = Bench(home)
    yield made
    made.workspace.close()


@pytest.fixture
def opened(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine on ``tiny_home``; its jobs run in its worker threads."""
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    yield engine
    engine.close(5)
