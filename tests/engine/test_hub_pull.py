"""Downloads from a real local server that speaks the Hub's API: cuts, refusals, waits, silence, full disks, bad bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine import events
from engine.engine import Engine
from engine.store.models import ModelRecord
from tests.fakes.files import gguf_file, safetensors_file
from tests.fakes.follow import finish
from tests.fakes.hub import COMMIT, TOKEN, Hub, Trouble
from tests.fakes.online import go_online

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}).encode()
WEIGHTS = safetensors_file({"model.embed_tokens.weight": (500, 400)})
MODEL = {"config.json": CONFIG, "tokenizer.json": b"{}", "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle", "README.md": b"# A model"}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Hub]:
    monkeypatch.setenv("BITTERN_HUB_STALL", "20")

    def start(files: dict[str, bytes] = MODEL, **about: object) -> Hub:
        hub = Hub(files, lfs=tuple(name for name in files if name.endswith((".safetensors", ".gguf"))), **about)  # type: ignore[arg-type]
        go_online(monkeypatch, tmp_path, hub)
        return hub

    return start


def pull(engine: Engine, line: str, state: str = "done") -> tuple[str, dict[str, object]]:
    """The job's id, and its record's error or its result."""
    job = engine.run(engine.parse(line)).data["job"]
    record = finish(engine, job, state=state)
    return job, record.error if state == "failed" else engine.result(job).data


def until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + 4 * seconds  # the machine may be busy with other tests
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def bytes_said(engine: Engine, job: str) -> list[events.JobProgress]:
    return [event for event in engine.events_of(job) if isinstance(event, events.JobProgress) and event.unit == "bytes"]


def test_only_the_right_files_come_and_the_commit_is_recorded(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve(tags=["license:mit"])
    job, data = pull(engine, "pull org/tiny")
    assert (data["model"], data["kind"], data["source"], data["revision"]) == ("tiny", "chat", "org/tiny", COMMIT)
    assert data["facts"]["licence"] == "mit"  # type: ignore[index]
    folder = Path(str(data["folder"]))
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not hub.downloads("pytorch_model.bin")
    total = sum(len(MODEL[name]) for name in ("config.json", "tokenizer.json", "model.safetensors", "README.md"))
    assert bytes_said(engine, job)[-1].done == bytes_said(engine, job)[-1].total == total
    shown = engine.run(engine.parse("models")).table
    assert shown and shown.rows[0][-1] == f"org/tiny @{COMMIT[:7]}"
    assert (folder.parent.parent / "refs" / "main").read_text() == COMMIT, "other tools find it under its branch"
    before = len(hub.downloads(""))
    pull(engine, "pull org/tiny")
    assert len(hub.downloads("")) == before, "what is here is not fetched again"


def test_files_with_the_same_bytes_are_fetched_once_and_all_are_there(engine: Engine, serve: Callable[..., Hub]) -> None:
    same = dict.fromkeys(("tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json"), b'{"same": true}')
    hub = serve({**MODEL, **same})
    job, data = pull(engine, "pull org/tiny")
    assert sum(len(hub.downloads(name)) for name in same) == 1
    assert {(Path(str(data["folder"])) / name).read_bytes() for name in same} == {b'{"same": true}'}
    assert bytes_said(engine, job)[-1].done == bytes_said(engine, job)[-1].total


def test_a_cut_download_goes_on_at_the_next_byte(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve()
    hub.trouble = Trouble(cut=300_000, cuts=2)
    _, data = pull(engine, "pull org/tiny")
    asked = hub.downloads("model.safetensors")
    assert [line.partition(" bytes=")[2].partition("-")[0] for line in asked] == ["", "300000", "600000"]
    assert hashlib.sha256((Path(str(data["folder"])) / "model.safetensors").read_bytes()).hexdigest() == hashlib.sha256(WEIGHTS).hexdigest()


@pytest.mark.parametrize("again", ["resume", "pull"])
def test_a_stopped_job_goes_on_at_the_next_byte(engine: Engine, serve: Callable[..., Hub], tmp_path: Path, again: str) -> None:
    hub = serve()
    hub.trouble = Trouble(silent=30)
    job = engine.run(engine.parse("pull org/tiny")).data["job"]
    part = tmp_path / "hub" / "models--org--tiny" / "blobs" / f"{hashlib.sha256(WEIGHTS).hexdigest()}.part"
    until(lambda: part.is_file() and part.stat().st_size == 1000)
    began = time.monotonic()
    engine.run(engine.parse(f"cancel {job}"))
    finish(engine, job, state="cancelled")
    assert time.monotonic() - began < 10, "a silent server holds no job"
    assert engine.model_records() == []
    hub.trouble = Trouble()
    if again == "resume":
        engine.run(engine.parse(f"resume {job}"))
        finish(engine, job)
    else:
        job, _ = pull(engine, "pull org/tiny")
    assert hub.downloads("model.safetensors")[-1].endswith(f"bytes=1000-{len(WEIGHTS) - 1}")
    folder = Path(engine.model_records()[0].folder)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS and not part.exists()


def test_a_server_that_knows_no_ranges_is_asked_from_the_start(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve()
    hub.trouble = Trouble(cut=300_000, ranges=False)
    _, data = pull(engine, "pull org/tiny")
    assert (Path(str(data["folder"])) / "model.safetensors").read_bytes() == WEIGHTS


def test_told_to_slow_down_it_waits_and_goes_on(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve()
    hub.trouble = Trouble(busy=2, retry_after="1", broken=1)
    job, _ = pull(engine, "pull org/tiny")
    assert any("slow down" in event.note for event in bytes_said(engine, job))


def test_a_wait_that_is_too_long_is_an_error_and_a_wait_can_be_cancelled(
    engine: Engine, serve: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve()
    hub.trouble = Trouble(busy=99, retry_after="5000")
    _, error = pull(engine, "pull org/tiny", "failed")
    assert "slow down" in str(error["message"]) and "5000 s" in str(error["hint"])
    hub.trouble = Trouble(busy=99, retry_after="600")
    job = engine.run(engine.parse("pull org/tiny")).data["job"]
    until(lambda: any("slow down" in event.note for event in bytes_said(engine, job)))
    engine.run(engine.parse(f"cancel {job}"))
    finish(engine, job, seconds=10, state="cancelled")


def test_a_silent_server_is_given_up(home: Path, serve: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub = serve()
    hub.trouble = Trouble(silent=30)
    monkeypatch.setenv("BITTERN_HUB_STALL", "1.5")
    engine = Engine(home, everything=True)
    try:
        _, error = pull(engine, "pull org/tiny", "failed")
        assert "nothing has come for 2 s" in str(error["message"]) and "kB of" in str(error["message"]) and "Resume" in str(error["hint"])
        assert engine.model_records() == []
    finally:
        engine.close(5)


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        ("pull org/gated", "is gated", "login"),
        ("pull org/private", "private or does not exist", "login"),
        ("pull org/missing", "The Hub has no org/missing", "find"),
        ("pull org/tiny --revision nowhere", "no such revision", "branch"),
        ("pull org/tiny --quantisation Q4_K_M", "no GGUF file", "--quantisation"),
        ("pull org/tiny --file pytorch_model.bin", "pickled weights", ".safetensors"),
        ("pull org/tiny --file model.safetensor", "There is no file", "Did you mean model.safetensors?"),
    ],
)
def test_refusals_say_what_to_do(engine: Engine, serve: Callable[..., Hub], line: str, says: str, hint: str) -> None:
    serve()
    _, error = pull(engine, line, "failed")
    assert says in str(error["message"]) and hint in str(error["hint"]), error
    assert engine.model_records() == []


def test_the_right_token_opens_what_is_gated(engine: Engine, serve: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub = serve()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    _, error = pull(engine, "pull org/gated", "failed")
    assert "your account has no access" in str(error["message"])
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    _job, data = pull(engine, "pull org/gated")
    assert data["source"] == "org/gated" and TOKEN in hub.tokens
    for file in engine.workspace.paths.root.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


def test_the_disk_is_looked_at_before_and_what_is_here_counts(engine: Engine, serve: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub = serve()
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=(32 << 20) + 100_000))
    _, error = pull(engine, "pull org/tiny", "failed")
    assert error["error"] == "DiskFull" and "needs 800" in str(error["message"]) and "are free in" in str(error["message"])
    assert not hub.downloads("model.safetensors")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    hub.trouble = Trouble(silent=30)
    job = engine.run(engine.parse("pull org/tiny")).data["job"]
    until(lambda: hub.downloads("model.safetensors"))
    time.sleep(0.3)
    engine.run(engine.parse(f"cancel {job}"))
    finish(engine, job, state="cancelled")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=(32 << 20) + 799_500))
    hub.trouble = Trouble()
    pull(engine, "pull org/tiny")


def test_damaged_bytes_are_never_used(engine: Engine, serve: Callable[..., Hub], tmp_path: Path) -> None:
    hub = serve()
    hub.trouble = Trouble(damaged=True)
    job, error = pull(engine, "pull org/tiny", "failed")
    assert "model.safetensors arrived damaged" in str(error["message"])
    assert not list((tmp_path / "hub" / "models--org--tiny" / "blobs").glob("*.part"))
    hub.trouble = Trouble()
    engine.run(engine.parse(f"resume {job}"))
    finish(engine, job)


def test_one_quantisation_of_many_and_the_projector(engine: Engine, serve: Callable[..., Hub]) -> None:
    small, large = gguf_file(), gguf_file(4096)
    files = {"README.md": b"#", "m-Q8_0.gguf": large, "m-Q4_K_M.gguf": small, "m-Q2_K.gguf": small, "mmproj-m-F16.gguf": gguf_file(8, "clip")}
    hub = serve(files)
    job, data = pull(engine, "pull org/m-GGUF --name m")
    assert str(data["gguf"]).endswith("m-Q4_K_M.gguf") and data["facts"]["quantisation"] == "Q4_K_M"  # type: ignore[index]
    assert str(data["facts"]["mmproj"]).endswith("mmproj-m-F16.gguf")  # type: ignore[index]
    assert not hub.downloads("m-Q8_0.gguf") and not hub.downloads("m-Q2_K.gguf")
    assert any("there are also" in event.text for event in engine.events_of(job) if isinstance(event, events.JobLog))
    _, data = pull(engine, "pull org/m-GGUF --name m --quantisation q8_0")
    assert str(data["gguf"]).endswith("m-Q8_0.gguf"), "also where another one lies beside it"
    _, data = pull(engine, "pull org/m-GGUF --name m --file m-Q2_K.gguf")
    assert str(data["gguf"]).endswith("m-Q2_K.gguf")
    _, error = pull(engine, "pull org/m-GGUF --name m --quantisation Q5", "failed")
    assert "Q2_K" in str(error["hint"]) and "Q8_0" in str(error["hint"])


def test_an_adapter_without_its_base_says_which_pull_brings_it(engine: Engine, serve: Callable[..., Hub], tmp_path: Path) -> None:
    weights = safetensors_file({"base_model.model.model.layers.0.mlp.up.lora_A.weight": (8, 400)})
    config = json.dumps({"base_model_name_or_path": "org/base", "r": 8}).encode()
    hub = serve({"adapter_config.json": config, "adapter_model.safetensors": weights, "checkpoint-1/adapter_model.safetensors": b"x"})
    _, error = pull(engine, "pull org/adapter", "failed")
    assert "org/base" in str(error["message"]) and error["repairs"] == [{"label": "bring its base", "line": "pull org/base"}]
    assert not hub.downloads("adapter_model.safetensors"), "said before the weights come"
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(safetensors_file({"model.layers.0.mlp.up.weight": (900, 300)}))
    engine.workspace.models.put(ModelRecord("base", "chat", "org/base", 1, folder=str(base)))
    _, error = pull(engine, "pull org/adapter", "failed")
    assert "was not made for base" in str(error["message"]) and "900 × 300" in str(error["message"])
    (base / "model.safetensors").write_bytes(safetensors_file({"model.layers.0.mlp.up.weight": (900, 400)}))
    _, data = pull(engine, "pull org/adapter")
    assert (data["kind"], data["base"]) == ("adapter", "base")


def test_two_pulls_at_once_and_two_of_the_same(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve()
    hub.trouble = Trouble(silent=30)
    first = engine.run(engine.parse("pull org/one")).data["job"]
    second = engine.run(engine.parse("pull org/two")).data["job"]
    until(lambda: len(hub.downloads("model.safetensors")) == 2)
    for job in (first, second):
        engine.run(engine.parse(f"cancel {job}"))
        finish(engine, job, state="cancelled")
    before = len(hub.downloads("model.safetensors"))
    first = engine.run(engine.parse("pull org/one --name a")).data["job"]
    until(lambda: len(hub.downloads("model.safetensors")) > before)
    second = engine.run(engine.parse("pull org/one --name b")).data["job"]
    until(lambda: any("being downloaded already" in event.note for event in bytes_said(engine, second)))
    hub.trouble = Trouble()
    engine.run(engine.parse(f"cancel {first}"))
    finish(engine, second)
    assert engine.workspace.models.get("b").source == "org/one"
    assert engine.workspace.models.find("a") is None, "its pull was cancelled"


def test_a_name_that_is_another_models_is_not_taken_over(engine: Engine, serve: Callable[..., Hub]) -> None:
    serve()
    pull(engine, "pull org/tiny")
    with pytest.raises(Exception, match="already a model, from org/tiny") as caught:
        engine.run(engine.parse("pull other/tiny"))
    assert "--name tiny-2" in str(caught.value)
