"""Fixtures that every test may use."""

from __future__ import annotations

import gc
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
DEAREST = (
    "test_training.py", "test_kill.py", "test_main_job.py", "test_full_disk.py", "test_families.py", "test_backends.py", "test_tune_screen.py",
)  # fmt: skip
"""Files with tests of a minute or more. They go first: begun last, one of them would be waited for by a single worker. The first and the
third need the starter, which the third would wait for beside the first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Needs ``--no-loadscope-reorder``, or xdist puts the files with the most tests first, however quick they are."""
    place = {name: number for number, name in enumerate(DEAREST)}
    items.sort(key=lambda item: place.get(item.path.name, len(DEAREST)))


def pytest_collection_finish() -> None:
    """What the modules brought in stays: the Trainer collects garbage for each training, and need not look through it."""
    gc.collect()
    gc.freeze()


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
    from filelock import FileLock

    from engine.engine import Engine
    from tests.fakes.follow import finish

    # Under xdist each worker has a folder of its own in one that they share: the first to come fetches for all.
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    root = (tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent) / "starter"
    with FileLock(root.with_suffix(".lock")):
        if (root / "fetched").exists():
            return root
        opened = Engine(root, everything=True)
        try:
            for name in ("smollm2", "minilm"):
                finish(opened, opened.run(opened.parse(f"pull {name}")).data["job"], seconds=240)
        finally:
            opened.close(5)
        (root / "fetched").touch()
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


@pytest.fixture(scope="session")
def converted(starter: Path) -> Path:
    """The starter's workspace with its chat model converted for training, which takes 20 s, once for all tests."""
    from filelock import FileLock

    from engine.jobs.context import CancelToken, JobContext
    from engine.models.convert import trainable_folder
    from engine.store.workspace import Workspace

    with FileLock(starter.with_suffix(".lock")):
        workspace = Workspace(starter)
        trainable_folder(JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False), workspace.models.get("smollm2"))
        workspace.close()
    return starter


@pytest.fixture
def with_converted(converted: Path, with_starter: Path) -> Path:
    """``with_starter``, ready to train."""
    from engine.store.workspace import Workspace

    theirs, ours = Workspace(converted), Workspace(with_starter)
    ours.models.put(theirs.models.get("smollm2"))
    theirs.close()
    ours.close()
    return with_starter


@pytest.fixture
def tiny_home(home: Path) -> Path:
    """A workspace with ``tiny`` (a small random chat model with dropout in its adapter's path) and the rows ``lines``."""
    from engine.engine import Engine
    from tests.fakes.follow import finish
    from tests.fakes.tiny import chat_model, instruction_rows

    folder = chat_model(home.parent / "tiny")
    file = home.parent / "lines.jsonl"
    file.write_text(instruction_rows(80), encoding="utf-8")
    opened = Engine(home, everything=True)
    try:
        finish(opened, opened.run(opened.parse(f"pull {folder} --name tiny")).data["job"])
        finish(opened, opened.run(opened.parse(f"add {file} --name lines")).data["job"])
        opened.workspace.database.write("DELETE FROM jobs")
        opened.workspace.database.write("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
    finally:
        opened.close(5)
    return home
