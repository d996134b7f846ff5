"""Models of the BERT, GPT-2, LLaMA, BLOOM and Falcon families, from a folder to a tuned model, through the Commands alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import ModelError
from engine.events import JobLog
from engine.models.gguf_write import write_gguf
from engine.store.models import ModelRecord
from tests.engine.test_adapters import lora
from tests.fakes.follow import done
from tests.fakes.tiny import base_model, bert, chat_model, instruction_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the rows ``lines`` (instructions) and ``birds`` (labelled texts)."""
    root = tmp_path_factory.mktemp("families")
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(root / "home", everything=True)
    try:
        (root / "lines.jsonl").write_text(instruction_rows(20))
        birds = [{"text": f"{word} number {n}", "label": word} for n in range(12) for word in ("heron", "reed")]
        (root / "birds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in birds))
        for name in ("lines", "birds"):
            done(opened, f"add {root / name}.jsonl --name {name}")
        yield opened
    finally:
        opened.close(5)
        del os.environ["BITTERN_RUNNER"]


def run(engine: Engine, line: str) -> dict[str, Any]:
    return engine.run(engine.parse(line)).data


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom", "falcon"])
def test_a_base_model_goes_on_learns_and_then_chats(house: Engine, tmp_path: Path, family: str) -> None:
    folder = base_model(tmp_path / family, family)
    assert done(house, f"pull {folder} --name {family}")["kind"] == "chat"
    [found] = run(house, f"tokens --model {family} heron ü")["tokenizers"]
    assert found["count"] == len(found["tokens"]) >= len("heron ü")
    said = run(house, f"complete --model {family} --temperature 0 --max-tokens 6 heron")
    assert said["text"] and said["usage"]["completion_tokens"] == 6
    assert said["text"] == run(house, f"complete --model {family} --temperature 0 --max-tokens 6 heron")["text"]
    with pytest.raises(ModelError, match="has no chat template") as caught:
        run(house, f"chat --model {family} hello")
    assert "train it" in caught.value.hint
    logs: list[str] = []
    unsubscribe = house.subscribe(lambda event: logs.append(event.text) if isinstance(event, JobLog) else None)
    tuned = done(house, f"train {family} --on lines --max-steps 6 --max-length 96 --learning-rate 0.02 --name {family}-tuned")
    unsubscribe()
    assert tuned["kind"] == "adapter" and tuned["eval_loss_after"] < tuned["eval_loss_before"]
    assert any("no chat template" in line for line in logs) and any("stop token trained: yes" in line for line in logs)
    measured = done(house, f"evaluate {family}-tuned --on lines --rows 2 --max-tokens 4")["metrics"]
    assert measured["perplexity"] < done(house, f"evaluate {family} --on lines --rows 2 --task perplexity")["metrics"]["perplexity"]
    answer = run(house, f"chat --model {family}-tuned --temperature 0 --max-tokens 4 --session {family} hello")
    assert answer["model"] == f"{family}-tuned" and answer["usage"]["completion_tokens"] <= 4
    begins = family == "llama"  # <s>, and no ▁ behind it
    assert answer["usage"]["prompt_tokens"] == len("hello\n") + begins, "it reads the line that it was trained on"


def test_bert_becomes_a_classifier(house: Engine, tmp_path: Path) -> None:
    assert done(house, f"pull {bert(tmp_path / 'bert')} --name bert")["kind"] == "encoder"
    found = run(house, "tokens --model bert --special heron pond7")["tokenizers"][0]["tokens"]
    assert [token["piece"] for token in found] == ["[CLS]", "heron", "pond", "##7", "[SEP]"]
    with pytest.raises(ModelError, match="it can't chat"):
        run(house, "chat --model bert hello")
    trained = done(house, "train bert --on birds --max-steps 30 --batch-size 8 --learning-rate 0.01 --name sorter")
    assert trained["kind"] == "classifier" and trained["eval_loss_after"] < trained["eval_loss_before"]
    measured = done(house, "evaluate sorter --on birds --split train --rows 0")
    assert measured["metrics"]["accuracy"] == 1.0 and measured["rows"] > 20


def test_a_tuned_base_keeps_its_template_where_the_base_is_a_gguf(house: Engine, tmp_path: Path) -> None:
    """llama.cpp has the base's template alone, which there is none of: such an adapter goes through transformers."""
    folder = chat_model(tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    write_gguf(folder, tmp_path / "bare.gguf")
    adapter = lora(folder, tmp_path / "adapter")
    house.workspace.models.put(ModelRecord("bare", "chat", "made", 1, folder=str(folder), gguf=str(tmp_path / "bare.gguf")))
    house.workspace.models.put(ModelRecord("bare-tuned", "adapter", "made", 1, folder=str(adapter), base="bare"))
    with pytest.raises(ModelError, match="has no chat template"):
        run(house, "chat --model bare-tuned hello")
    (adapter / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}")
    answer = run(house, "chat --model bare-tuned --max-tokens 4 --session bare hello")
    assert answer["usage"]["prompt_tokens"] == len("hello\n")
    with house.models.use("bare-tuned") as backend:
        assert backend.facts.backend == "transformers" and "a chat template of its own" in backend.facts.note
