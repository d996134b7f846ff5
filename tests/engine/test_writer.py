"""The engine that writes the answers of an evaluation: the same words from llama.cpp, several at once, as from transformers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError, DataError, ModelError
from engine.inference.fastest import Way, remember
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from tests.engine.test_adapters import lora
from tests.fakes.follow import done, finish
from tests.fakes.tiny import chat_model, instruction_rows, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = "evaluate {} --on lines --split train --rows 10 --batch-size 4 --max-tokens 8 --backend {}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """``tiny`` in both engines, ``tuned`` (a LoRA on it) and ``torch`` (no GGUF), all in 32 bits; the rows ``lines``."""
    root = tmp_path_factory.mktemp("writer")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BITTERN_RUNNER", "thread")
        patched.setenv("BITTERN_PRECISE", "1")
        patched.setenv("BITTERN_THREADS", "1")
        opened = Engine(root / "home", everything=True)
        folder = talkative(chat_model(root / "tiny"))
        write_gguf(folder, root / "tiny.gguf", "F32")
        models = opened.workspace.models
        models.put(ModelRecord("tiny", "chat", "made", 1, folder=str(folder), gguf=str(root / "tiny.gguf"), facts={"quantisation": "F32"}))
        models.put(ModelRecord("torch", "chat", "made", 1, folder=str(folder)))
        models.put(ModelRecord("tuned", "adapter", "made", 1, folder=str(lora(folder, root / "lora")), base="tiny"))
        rows = [
            *({"instruction": f"{n}" * 700, "output": "too long for the window"} for n in range(4)),
            *map(json.loads, instruction_rows(20).splitlines()),
        ]
        (root / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        finish(opened, opened.run(opened.parse(f"add {root / 'lines.jsonl'} --name lines")).data["job"])
        yield opened
        opened.close(5)


def rows_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(data["predictions"]).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("model", ["tiny", "tuned"])
def test_both_engines_write_the_same(house: Engine, model: str) -> None:
    one, two = (done(house, LINE.format(model, backend)) for backend in ("transformers", "llamacpp"))
    assert rows_of(one) == rows_of(two)
    assert {row["prediction"] for row in rows_of(one)} != {
        row["prediction"] for row in rows_of(done(house, LINE.format("torch", "auto")))
    } or model == "tiny"
    assert (one["backend"], two["backend"]) == ("transformers, float32", "llama.cpp, F32, 1 threads")
    assert {**one["metrics"], "backend": ""} == {**two["metrics"], "backend": ""}
    assert "perplexity" in two["metrics"], "transformers reads what llama.cpp does not tell"
    compared = house.run(house.parse(f"compare {one['run']} {two['run']}"))
    assert compared.data["flipped"] == [] and "llama.cpp, F32" in compared.summary


def test_auto_is_what_tune_has_measured(house: Engine) -> None:
    def chosen(line: str) -> str:
        job = house.run(house.parse(line)).data["job"]
        house.run(house.parse(f"cancel {job}"))
        return str(house.job(job).command["backend"])

    assert chosen(LINE.format("tuned", "auto")) == "transformers"
    tiny = house.workspace.models.get("tiny")
    remember(house.workspace, tiny, "batch", Way(tiny.gguf, "F32", 1))
    assert chosen(LINE.format("tuned", "auto")) == "llamacpp"
    assert chosen(LINE.format("tuned", "auto") + " --with base") == "llamacpp"
    assert chosen(LINE.format("tuned", "auto") + " --with torch") == "transformers", "both of a comparison are written by one engine"
    assert chosen(LINE.format("tuned", "auto") + " --task perplexity") == "transformers"


def test_a_prompt_that_is_too_long_loses_its_beginning(house: Engine) -> None:
    written = done(house, "evaluate tiny --on lines --split train --rows 0 --batch-size 8 --max-tokens 3 --backend llamacpp")
    long = [row for row in rows_of(written) if len(row["prompt"]) == 700]
    assert long and all(row["prediction"] for row in long)


def test_what_llamacpp_cannot_write_is_said(house: Engine) -> None:
    for line, kind, match in (
        (LINE.format("torch", "llamacpp"), ModelError, "transformers alone"),
        (LINE.format("tiny", "llamacpp") + " --task perplexity", DataError, "not for perplexity"),
        (LINE.format("tiny", "onnx"), BitternError, "backend"),
    ):
        with pytest.raises(kind, match=match) as caught:
            house.run(house.parse(line))
        assert caught.value.hint
    dora = replace(
        house.workspace.models.get("tuned"),
        name="dora",
        folder=str(lora(Path(house.workspace.models.get("tiny").folder), house.workspace.paths.root / "dora", use_dora=True)),
    )
    house.workspace.models.put(dora)
    with pytest.raises(ModelError, match="DoRA"):
        house.run(house.parse(LINE.format("dora", "llamacpp")))
