"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine

prepare_environment()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder for a workspace."""
    return tmp_path / "home"


@pytest.fixture
def engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A real engine on an empty workspace; its jobs run in its worker threads."""
    from engine.engine import Engine

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    opened = Engine(home, everything=True)
    yield opened
    opened.close(5)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of public data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("the public data is not here")
    return DATA


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the starter models in it, fetched as a person's first start fetches them.

    Tests must not write into it: copy it, or put its records into a workspace of their own (``with_starter``).
    """
    from engine.engine import Engine
    from tests.fakes.follow import finish

    root = tmp_path_factory.mktemp("starter")
    opened = Engine(root, everything=True)
    try:
        for name in ("smollm2", "minilm"):
            finish(opened, opened.run(opened.parse(f"pull {name}")).data["job"], seconds=240)
    finally:
        opened.close(5)
    return root


@pytest.fixture
def with_starter(starter: Path, home: Path) -> Path:
    """A fresh workspace that knows the starter models (their files stay where they are)."""
    from engine.store.workspace import Workspace

    theirs, ours = Workspace(starter), Workspace(home)
    for record in theirs.models.all():
        ours.models.put(record)
    theirs.close()
    ours.close()
    return home
