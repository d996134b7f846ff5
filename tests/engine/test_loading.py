"""Loading, freeing and the errors of models that can't be loaded: the session goes on with those that can."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine import devices
from engine.engine import Engine
from engine.errors import BitternError, ModelError
from engine.inference.pool import pool_of
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from tests.engine.test_adapters import lora
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def house(engine: Engine, tiny: Path) -> Iterator[Engine]:
    """An engine that knows ``tiny`` (transformers) and ``small`` (its GGUF)."""
    gguf = engine.workspace.paths.models / "small.gguf"
    write_gguf(tiny, gguf, "F16")
    size = (tiny / "model.safetensors").stat().st_size
    engine.workspace.models.put(ModelRecord("tiny", "chat", "made", size, folder=str(tiny)))
    engine.workspace.models.put(ModelRecord("small", "chat", "made", gguf.stat().st_size, gguf=str(gguf)))
    return engine


def load(engine: Engine, line: str, state: str = "done", seconds: float = 60) -> Any:
    job = finish(engine, engine.run(engine.parse(line)).data["job"], state=state, seconds=seconds)
    return engine.result(job.id).data if state == "done" else job.error


def loaded(engine: Engine) -> dict[str, dict[str, Any]]:
    return {entry["model"]: entry for entry in engine.run(engine.parse("loaded")).data["loaded"]}


def chat(engine: Engine, model: str) -> str:
    return str(engine.run(engine.parse(f"chat --model {model} --temperature 0 --max-tokens 4 hello")).data["answer"])


def test_load_shows_where_and_how_and_unload_frees(house: Engine, tiny: Path, tmp_path: Path) -> None:
    data = load(house, "load tiny --dtype bfloat16 --device cpu")
    assert (data["engine"], data["device"], data["dtype"]) == ("transformers", "cpu", "bfloat16")
    assert data["bytes"] > 0 and data["seconds"] > 0
    assert load(house, "load small")["engine"] == "llamacpp"
    house.workspace.models.put(ModelRecord("tuned", "adapter", "made", 1, folder=str(lora(tiny, tmp_path / "tuned")), base="small"))
    chat(house, "tuned")
    found = loaded(house)
    assert set(found) == {"tiny", "small"} and found["small"]["adapters"] == ["tuned"] == [found["small"]["active"]]
    chat(house, "small")
    assert loaded(house)["small"]["active"] == "", "the adapter is off, and still attached"
    assert house.run(house.parse("unload tuned")).data["freed"] == ["small"]
    assert set(loaded(house)) == {"tiny"}
    assert house.run(house.parse("unload")).data["freed"] == ["tiny"]
    chat(house, "tiny")
    assert loaded(house)["tiny"]["dtype"] == "bfloat16", "the choice is kept for the next chat"
    with pytest.raises(BitternError, match="no model called"):
        house.run(house.parse("unload tinny"))


def test_a_folder_is_quantised_once_and_chats_through_llamacpp(house: Engine) -> None:
    data = load(house, "load tiny --quantise Q8_0")
    assert (data["engine"], data["dtype"]) == ("llamacpp", "Q8_0")
    record = house.workspace.models.get("tiny")
    assert record.gguf.endswith("tiny-Q8_0.gguf") and chat(house, "tiny")
    stamp = Path(record.gguf).stat().st_mtime_ns
    load(house, "load tiny --quantise Q8_0")
    assert Path(record.gguf).stat().st_mtime_ns == stamp
    assert load(house, "load tiny --engine transformers --dtype float32")["dtype"] == "float32"
    error = load(house, "load tiny --quantise nf4", "failed")
    assert "needs a CUDA GPU" in error["message"] and "Q8_0" in error["hint"]
    assert house.workspace.models.get("tiny").facts["engine"] == "transformers"
    error = load(house, "load tiny --engine transformers --device cuda", "failed")
    assert "no cuda device" in error["message"]
    with pytest.raises(ModelError, match=r"types of its GGUF"):
        house.run(house.parse("load small --dtype float32"))


def test_the_least_recently_used_goes_before_memory_runs_out(house: Engine, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        record = house.workspace.models.get("small")
        house.workspace.models.put(ModelRecord(name, "chat", "made", record.bytes, gguf=record.gguf))
    for name in ("one", "two", "one"):
        chat(house, name)
    need = loaded(house)["one"]["expected"]

    def scarce() -> devices.Memory:
        """A machine with room for two such models."""
        return devices.Memory("RAM", 3 * need, int(2.5 * need) - need * len(house.models.holding()))

    monkeypatch.setattr("engine.inference.pool.memory", scarce)
    chat(house, "small")
    assert set(loaded(house)) == {"one", "small"}, "two was used longest ago"
    monkeypatch.setattr("engine.inference.pool.memory", lambda: devices.Memory("RAM", need, need // 2))
    house.run(house.parse("unload"))
    with pytest.raises(ModelError, match="does not fit: it needs about") as caught:
        chat(house, "one")
    assert "--force" in caught.value.hint
    assert load(house, "load one --force")["model"] == "one" and chat(house, "one")


def test_what_cannot_be_loaded_is_told_and_the_session_goes_on(house: Engine, tiny: Path, tmp_path: Path) -> None:
    models = house.workspace.models
    answer = chat(house, "small")
    whole = Path(models.get("small").gguf).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:-5000])
    (tmp_path / "garbled.gguf").write_bytes(whole[:40] + b"\xff" * 64 + whole[104:])
    bare = chat_model(tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    write_gguf(bare, tmp_path / "bare.gguf")
    cut = chat_model(tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[:-1000])
    lost = chat_model(tmp_path / "lost")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (lost / "model.safetensors.index.json").write_text(json.dumps(index))
    cases = {
        "cut.gguf": r"cut off: its weights end at byte", "garbled.gguf": r"header of .* can't be read", "bare.gguf": "no chat template",
        "cut": "cut off: its tensors end at byte", "bare": "no chat template", "lost": "lacks 2 of its 2 weight files",
    }  # fmt: skip
    for name, words in cases.items():
        path = tmp_path / name
        key = name.replace(".", "-")
        models.put(ModelRecord(key, "chat", "made", 1, gguf=str(path) if path.suffix else "", folder="" if path.suffix else str(path)))
        with pytest.raises(ModelError, match=words) as caught:
            chat(house, key)
        assert caught.value.hint and str(caught.value).count("\n") == 0
        if not name.startswith("bare"):
            assert words.split()[0] in load(house, f"load {key}", "failed")["message"] or "header" in words
        assert "small" in loaded(house) and chat(house, "small") == answer
    assert house.run(house.parse("models")).data["models"]


def test_a_load_in_a_process_of_its_own_can_be_cancelled(home: Path, tiny: Path) -> None:
    opened = Engine(home, everything=True)
    try:
        opened.workspace.models.put(ModelRecord("tiny", "chat", "made", 1, folder=str(tiny)))
        pool = pool_of(opened.workspace, hosted=True)
        job = opened.run(opened.parse("load tiny")).data["job"]
        deadline = time.monotonic() + 60
        while not pool.holding() and time.monotonic() < deadline:
            time.sleep(0.02)
        opened.run(opened.parse(f"cancel {job}"))
        finish(opened, job, state="cancelled")
        assert not loaded(opened)
        data = load(opened, "load tiny", seconds=150)
        assert data["process"] and data["measured"] and data["bytes"] > 50e6
        assert chat(opened, "tiny") is not None
        opened.run(opened.parse("unload"))
        [learnt] = opened.workspace.peaks.known("inference")
        assert learnt.model == "tiny" and learnt.measured > 50e6
    finally:
        opened.close(5)


def test_a_model_larger_than_its_memory_runs_from_the_disk(house: Engine, tiny: Path, tmp_path: Path) -> None:
    whole = load(house, "load tiny --dtype float32")
    said = chat(house, "tiny")
    data = load(house, "load tiny --dtype float32 --memory 0.0001")
    assert re.fullmatch(r"cpu, \d+ of \d+ parts on the disk", data["device"]) and data["expected"] < whole["expected"]
    assert chat(house, "tiny") == said, "the same weights, wherever they lie"
    house.workspace.models.put(ModelRecord("tuned", "adapter", "made", 1, folder=str(lora(tiny, tmp_path / "tuned")), base="tiny"))
    with pytest.raises(ModelError, match="needs its base in memory as a whole") as caught:
        chat(house, "tuned")
    assert "load tiny" in caught.value.hint
    with pytest.raises(ModelError, match="has to be in memory as a whole"):
        house.run(house.parse("load tuned --memory 1"))
    with pytest.raises(ModelError, match=r"llama\.cpp, which leaves its file"):
        house.run(house.parse("load small --memory 1"))
    assert load(house, "load tiny --dtype float32 --memory 1")["device"] == "cpu", "there is room for all of it"
    assert chat(house, "tiny") == said and chat(house, "tuned")
