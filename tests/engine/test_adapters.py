"""A model written as GGUF and its adapters in llama.cpp: the same logits as transformers has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ModelError
from engine.inference.engines import engine_of
from engine.inference.hosted import Hosted
from engine.inference.llamacpp import LlamaCpp
from engine.inference.pool import ModelPool
from engine.inference.protocol import Sampling
from engine.jobs.context import CancelToken
from engine.models.adapter_gguf import cannot, convert_adapter
from engine.models.gguf_header import read_header
from engine.models.gguf_write import write_gguf
from engine.settings import Settings
from engine.store.models import ModelRecord
from engine.store.workspace import Workspace
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inference.protocol import Backend

TEXT = "<|im_start|>user\nhello heron<|im_end|>\n<|im_start|>assistant\n"


def lora(folder: Path, out: Path, **values: Any) -> Path:
    """A LoRA of random weights on the model in ``folder``."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **values}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), LoraConfig(**config))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "magnitude" in name:
                parameter.normal_(0, 0.3)
    model.save_pretrained(out)
    return out


def by_torch(folder: Path, adapter: Path | None = None) -> dict[str, float]:
    """The log-probability of each next token after ``TEXT``, by its text."""
    import torch
    from transformers import AutoTokenizer

    from engine.models.load import load_causal

    model, _ = load_causal(folder, adapter, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(TEXT, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        found = torch.log_softmax(model(ids).logits[0, -1], -1)
    return {tokenizer.convert_ids_to_tokens(number): float(value) for number, value in enumerate(found)}


def by_llama(server: LlamaCpp, adapter: str = "") -> dict[str, float]:
    body = {"prompt": TEXT, "n_predict": 1, "n_probs": 40, "temperature": 0, "cache_prompt": False, "lora": server._scales(adapter)}
    found = server._ask("/completion", body)["completion_probabilities"][0]["top_logprobs"]
    return {str(entry["id"]): entry["logprob"] for entry in found}


def differ(folder: Path, one: dict[str, float], other: dict[str, float]) -> float:
    """The largest distance between log-probabilities of the tokens that llama.cpp tells of."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(other) >= 30
    return max(abs(one[tokenizer.convert_ids_to_tokens(int(number))] - value) for number, value in other.items())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace(home, Settings(context=256))
    yield opened
    opened.close()


def put(workspace: Workspace, tiny: Path, quantisation: Any = "F32") -> ModelRecord:
    gguf = workspace.paths.models / "tiny.gguf"
    write_gguf(tiny, gguf, quantisation)
    record = ModelRecord("tiny", "chat", "made", gguf.stat().st_size, gguf=str(gguf), folder=str(tiny))
    workspace.models.put(record)
    return record


def put_adapter(workspace: Workspace, folder: Path, name: str = "tuned") -> ModelRecord:
    record = ModelRecord(name, "adapter", "made", 1, folder=str(folder), base="tiny")
    workspace.models.put(record)
    return record


def say(backend: Backend) -> str:
    messages = [{"role": "user", "content": "hello heron"}]
    return "".join(backend.stream(messages, Sampling(temperature=0, repetition_penalty=1.0, max_tokens=12), CancelToken()))


@pytest.mark.slow
@pytest.mark.parametrize(("quantisation", "distance"), [("F32", 0.002), ("F16", 0.02), ("Q8_0", 0.1), ("Q4_0", 0.6)])
def test_a_written_gguf_has_the_logits_of_the_model(workspace: Workspace, tiny: Path, quantisation: str, distance: float) -> None:
    record = put(workspace, tiny, quantisation)
    header = read_header(Path(record.gguf))
    assert header.template and header.shape().parameters == 64 * (259 + 1) + 2 * (2 * 64 + 64 * (64 + 32 + 32 + 64 + 3 * 128))
    server = LlamaCpp(record, workspace.settings)
    assert differ(tiny, by_torch(tiny), by_llama(server)) < distance
    assert say(server)
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, {"use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}}], ids=["plain", "ranks"])
def test_an_adapter_in_llamacpp_has_the_logits_of_peft(workspace: Workspace, tiny: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    base = put(workspace, tiny)
    adapter = put_adapter(workspace, lora(tiny, tmp_path / "adapter", **values))
    server = LlamaCpp(base, workspace.settings, {"tuned": convert_adapter(workspace, adapter, base)})
    tuned, plain = by_torch(tiny, Path(adapter.folder)), by_torch(tiny)
    assert max(abs(tuned[token] - plain[token]) for token in plain) > 0.5, "the adapter changes much"
    assert differ(tiny, tuned, by_llama(server, "tuned")) < 0.002
    assert differ(tiny, plain, by_llama(server)) < 0.002, "and is off again, on the same base"
    server.close()


@pytest.mark.slow
def test_the_pool_switches_adapters_without_loading_the_base_again(workspace: Workspace, tiny: Path, tmp_path: Path) -> None:
    put(workspace, tiny)
    put_adapter(workspace, lora(tiny, tmp_path / "one"), "one")
    put_adapter(workspace, lora(tiny, tmp_path / "two", r=2, lora_alpha=20), "two")
    pool = ModelPool(workspace, hosted=False)
    try:
        answers, bases = {}, {}
        for name in ("two", "one", "tiny", "one", "two"):
            with pool.use(name) as backend:
                answer = say(backend)
                assert answers.setdefault(name, answer) == answer
                assert backend.facts.name == name and backend.facts.backend == "llama.cpp" and backend.facts.note == ""
                assert isinstance(backend, Hosted)
                bases[name] = backend.host
        assert len(set(answers.values())) == 3
        assert bases["one"] is bases["two"] is bases["tiny"], "one base for all of them"
        put_adapter(workspace, lora(tiny, tmp_path / "again", r=2, lora_alpha=1), "one")
        with pool.use("one") as backend:
            assert say(backend) != answers["one"], "an adapter trained again under its name is another one"
    finally:
        pool.close()


@pytest.mark.slow
def test_an_adapter_that_llamacpp_cannot_carry_goes_through_transformers_and_says_why(workspace: Workspace, tiny: Path, tmp_path: Path) -> None:
    base = put(workspace, tiny)
    dora = put_adapter(workspace, lora(tiny, tmp_path / "dora", use_dora=True), "dora")
    assert engine_of(dora, base) == "transformers"
    pool = ModelPool(workspace, hosted=False)
    with pool.use("dora") as backend:
        assert isinstance(backend, Hosted) and say(backend)
        assert backend.facts.backend == "transformers" and "DoRA" in backend.facts.note
    pool.close()
    whole = put_adapter(workspace, lora(tiny, tmp_path / "whole", modules_to_save=["lm_head"]), "whole")
    assert "whole modules" in cannot(whole, base)
    damaged = put_adapter(workspace, Path(shutil.copytree(tmp_path / "dora", tmp_path / "damaged")), "damaged")
    file = Path(damaged.folder) / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "use_dora": False}))
    with pytest.raises(ModelError, match="no part of a LoRA"):
        convert_adapter(workspace, damaged, base)
    assert not [path for path in workspace.paths.models.iterdir() if path.name.startswith(".")], "nothing is left behind"
    other = chat_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}))
    with pytest.raises(ModelError, match="positions are scaled"):
        write_gguf(other, tmp_path / "no.gguf")
    assert not (tmp_path / "no.gguf").exists()
