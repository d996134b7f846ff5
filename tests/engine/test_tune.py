"""Running a GGUF faster: quantised anew, its perplexity checked, the fastest way remembered and used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.errors import ModelError
from engine.inference.fastest import Way, fastest, remember
from engine.jobs.context import Stopped
from engine.models.gguf_header import read_header
from engine.models.gguf_write import write_gguf
from engine.models.quantise import bytes_of, quantise
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
TEXT = "The heron stands very still at the water's edge and listens to the reeds."


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_gguf(chat_model(folder / "tiny"), folder / "tiny.gguf", "F16")
    return folder / "tiny.gguf"


@pytest.fixture
def opened(gguf: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    monkeypatch.setenv("BITTERN_CONTEXT", "512")
    engine = Engine(home, everything=True)
    finish(engine, engine.run(engine.parse(f"pull {gguf} --name tiny")).data["job"])
    yield engine
    engine.close(5)


def test_quantising_changes_the_matrices_and_nothing_else(gguf: Path, tmp_path: Path) -> None:
    for kind, number in (("Q8_0", 8), ("Q4_0", 2)):
        out = tmp_path / f"{kind}.gguf"
        steps: list[int] = []
        quantise(gguf, out, kind, lambda done, total, steps=steps: steps.append(done))
        before, after = read_header(gguf), read_header(out)
        assert after.tensors.keys() == before.tensors.keys() and steps[-1] == len(after.tensors)
        assert after.tensors["blk.0.ffn_up.weight"] == (before.tensors["blk.0.ffn_up.weight"][0], number)
        assert after.tensors["blk.0.attn_norm.weight"] == before.tensors["blk.0.attn_norm.weight"]
        assert after.template == before.template and after.lengths == before.lengths
        assert {key: value for key, value in after.metadata.items() if "file_type" not in key and "quantization" not in key} == {
            key: value for key, value in before.metadata.items() if "file_type" not in key and "quantization" not in key
        }
        assert out.stat().st_size < gguf.stat().st_size
        assert abs(bytes_of(gguf, kind) - sum(_size(*tensor) for tensor in after.tensors.values())) < 40_000


def _size(dimensions: tuple[int, ...], number: int) -> int:
    import gguf

    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)]
    return math.prod(dimensions) * size // block


def test_a_stop_leaves_no_file(gguf: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantise(gguf, tmp_path / "half.gguf", "Q8_0", stop)
    assert not list(tmp_path.iterdir())
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelError):
        quantise(tmp_path / "bad.gguf", tmp_path / "out.gguf", "Q8_0")


def test_a_server_that_is_dropped_at_once_does_not_wait_for_ever(gguf: Path) -> None:
    """As ``load`` and then ``unload`` do. Without the wait for its loop one in a few never comes back."""
    import subprocess
    import sys

    code = f"""
import torch, xllamacpp
from engine.inference.llama_server import open_server
for n in range(12):
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.n_parallel = {str(gguf)!r}, 512, 1
    server = open_server(parameters, "key")
    del server
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=100, check=False).returncode == 0


def test_perplexity_is_that_of_torch(gguf: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from engine.inference.perplexity import perplexity

    folder = gguf.parent / "tiny"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = math.exp(model(input_ids=ids, labels=ids).loss.item())
    assert perplexity(gguf, TEXT) == pytest.approx(expected, rel=2e-3)
    with pytest.raises(ModelError, match="too short"):
        perplexity(gguf, "a")
    heard: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        heard.append((done, total))
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perplexity(gguf, TEXT, step=stop)
    assert 3 <= heard[-1][0] < heard[-1][1], "it is heard while it says the text, and stops there"


def test_the_fastest_is_measured_remembered_used_and_forgotten(opened: Engine) -> None:
    job = opened.run(opened.parse("tune tiny --quantisations Q8_0,Q4_0 --rounds 1")).data["job"]
    finish(opened, job, seconds=120)
    data = opened.result(job).data
    ways, qualities = data["ways"], {quality["quantisation"]: quality for quality in data["perplexity"]}
    assert {"F16", "Q8_0"} <= {way["quantisation"] for way in ways} and qualities["Q8_0"]["ratio"] == pytest.approx(1, abs=0.02)
    assert all(way["prefill"] > 0 and way["chat_seconds"] > 0 and way["batch_seconds"] > 0 for way in ways)
    assert sorted(use for way in ways for use in way["fastest_for"]) == ["batch", "chat"]

    record = opened.workspace.models.get("tiny")
    way = fastest(opened.workspace, record)
    assert way is not None and Path(way.gguf).is_file()
    kept = {path.name for path in opened.workspace.paths.models.glob("*.gguf")}
    batch = fastest(opened.workspace, record, "batch")
    assert batch is not None and kept <= {f"tiny.tuned-{way.quantisation}.gguf", f"tiny.tuned-{batch.quantisation}.gguf"}

    assert opened.run(opened.parse("tune tiny --forget")).data["forgotten"] == ["chat", "batch"]
    assert not list(opened.workspace.paths.models.glob("tiny.tuned-*.gguf")), "what was made for it goes too"
    eight = opened.workspace.paths.models / "tiny-Q8_0.gguf"
    quantise(Path(record.gguf), eight, "Q8_0")
    remember(opened.workspace, record, "chat", Way(str(eight), "Q8_0", 1))
    with opened.models.use("tiny", use="batch") as backend:
        assert backend.facts.quantisation != "Q8_0", "each use has its own way"
    with opened.models.use("tiny") as backend:
        assert backend.facts.quantisation == "Q8_0" and "1 threads" in backend.facts.device
        assert "".join(backend.stream([{"role": "user", "content": "hello"}], _greedy(), _token()))
    assert opened.run(opened.parse("tune tiny --forget")).data["forgotten"] == ["chat"]
    with opened.models.use("tiny") as backend:
        assert backend.facts.quantisation != "Q8_0"
    remember(opened.workspace, record, "chat", Way(str(eight), "Q8_0", 1))
    eight.unlink()
    assert fastest(opened.workspace, record) is None, "a file that is gone is not used"


def test_a_quantisation_that_loses_too_much_is_refused_with_figures(opened: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.commands.models.tune.LOSS", 0.5)
    job = opened.run(opened.parse("tune tiny --quantisations Q8_0 --rounds 1")).data["job"]
    finish(opened, job, seconds=120)
    assert "Q8_0 was refused: perplexity" in opened.result(job).summary
    assert not list(opened.workspace.paths.models.glob("tiny.tuned-*.gguf"))


def test_a_tune_that_is_stopped_leaves_what_was_there(opened: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise Stopped("cancel")

    monkeypatch.setattr("engine.inference.race.race", stopped)
    job = opened.run(opened.parse("tune tiny --quantisations Q8_0 --rounds 1")).data["job"]
    finish(opened, job, seconds=120, state="cancelled")
    assert not list(opened.workspace.paths.models.glob("tiny.tuned-*.gguf"))
    record = opened.workspace.models.get("tiny")
    assert Path(record.gguf).is_file() and fastest(opened.workspace, record) is None


def test_a_way_far_behind_is_measured_no_more() -> None:
    from engine.inference.race import _in_the_race

    near, far, batch = (Way("a.gguf", name, 2) for name in ("near", "far", "batch"))
    assert _in_the_race({near: [], far: []}) == [near, far]
    turns = {near: [(9.0, 9.0, 1.0, 1.0)], far: [(1.0, 1.0, 4.0, 4.0)], batch: [(1.0, 1.0, 4.0, 0.9)]}
    assert _in_the_race(turns) == [near, batch]


def test_a_model_without_a_gguf_is_a_clear_error(opened: Engine, gguf: Path) -> None:
    finish(opened, opened.run(opened.parse(f"pull {gguf.parent / 'tiny'} --name folder")).data["job"])
    with pytest.raises(ModelError, match="no GGUF"):
        opened.run(opened.parse("tune folder"))


def _greedy() -> object:
    from engine.inference.protocol import Sampling

    return Sampling(temperature=0, max_tokens=4)


def _token() -> object:
    from engine.jobs.context import CancelToken

    return CancelToken()


def test_the_types_are_those_of_ggml() -> None:
    import gguf

    from engine.models.gguf_header import TYPES

    assert {number: (name, block, size) for number, (name, block, size) in TYPES.items()} == {
        int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()
    }
