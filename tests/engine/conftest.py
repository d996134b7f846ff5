"""Fixtures of the engine's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from tests.fakes.adding import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
