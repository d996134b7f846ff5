"""Weights stored in bfloat16 on a CPU without bfloat16 arithmetic: chosen by itself, as right as float32, half as large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.inference.protocol import Sampling
from engine.inference.torch_model import TorchModel
from engine.inference.widened import ROWS, widen
from engine.jobs.context import CancelToken
from engine.models import estimate
from tests.engine.test_adapters import lora
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_one_row_and_many_are_the_same_product() -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, 48).bfloat16(), torch.nn.Linear(48, 8, bias=False).bfloat16())
    exact = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.Linear(48, 8, bias=False))
    exact.load_state_dict(module.state_dict())
    widen(module)
    for rows in (1, ROWS - 1, ROWS, 40):
        given = torch.randn(2, rows, 64).bfloat16()
        found = module(given)
        assert found.dtype is torch.bfloat16
        assert torch.allclose(found.float(), exact(given.float()), atol=0.03), "no further off than a rounding"
    assert module.state_dict()["0.weight"].dtype is torch.bfloat16


def test_what_is_stored_in_bfloat16_is_loaded_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr("engine.models.estimate.precision", lambda: "fp32")
    monkeypatch.setattr("engine.inference.torch_model.cpu_bf16", lambda: False)
    wide = talkative(chat_model(tmp_path / "tiny"))
    assert estimate.stored_dtype(wide) == "float32" == estimate.loaded_dtype(stored="float32")
    half = tmp_path / "half"
    model = AutoModelForCausalLM.from_pretrained(wide, dtype=torch.bfloat16)
    model.save_pretrained(half)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (half / file).write_bytes((wide / file).read_bytes())
    assert estimate.loaded_dtype(stored=estimate.stored_dtype(half)) == "bfloat16" and estimate.loaded_dtype("float32", "bfloat16") == "float32"
    messages = [{"role": "user", "content": "hello there, what is a heron?"}]
    said = {}
    for dtype in ("auto", "float32"):
        loaded = TorchModel("half", str(half), 512, 1, dtype=dtype)
        assert loaded.facts(CancelToken())["quantisation"] == ("bfloat16" if dtype == "auto" else "float32")
        sampling = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=12).as_dict()
        said[dtype] = "".join(item.get("text", "") for item in loaded.stream(messages, sampling, "", "", CancelToken()))
        tuned = [item.get("text", "") for item in loaded.stream(messages, sampling, str(lora(half, tmp_path / dtype)), "1", CancelToken())]
        assert "".join(tuned) != said[dtype] != "", "an adapter acts on it"
    assert said["auto"][:4] == said["float32"][:4], "the first tokens, before roundings add up"
