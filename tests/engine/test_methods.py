"""Each PEFT method trains, resumes to the same losses and is measured; adapters are merged."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError
from tests.fakes.follow import done, finish

if TYPE_CHECKING:
    pass

TRAIN = "train tiny --on lines --max-steps 8 --save-steps 2 --eval-steps 4 --eval-rows 8 --rows 24 --allow leak,stop --learning-rate 0.01"
METHODS = ("dora", "rslora", "ia3", "prompt", "orthogonal")
RESUMED = ("dora", "prompt")
"""The others have LoRA's weights and no more."""


def test_every_method_learns_resumes_and_is_measured(opened: Engine) -> None:
    for method in METHODS:
        line = f"{TRAIN} --method {method}" if method != "orthogonal" else f"{TRAIN} --init orthogonal"
        whole = done(opened, f"{line} --name {method}")
        assert whole["kind"] == "adapter" and whole["eval_loss_after"] < whole["eval_loss_before"], method
        config = json.loads((Path(opened.workspace.models.get(method).folder) / "adapter_config.json").read_text("utf-8"))
        wanted = {"dora": ("use_dora", True), "rslora": ("use_rslora", True), "ia3": ("peft_type", "IA3"), "prompt": ("peft_type", "PROMPT_TUNING")}
        key, value = wanted.get(method, ("init_lora_weights", "orthogonal"))
        assert config[key] == value
        if method not in RESUMED:
            continue
        job = opened.done(opened.parse(f"{line} --name {method}-again")).data["job"]
        deadline = time.monotonic() + 60
        while not list(opened.workspace.paths.job(job).glob("checkpoints/checkpoint-4/complete.json")):
            assert time.monotonic() < deadline and opened.job(job).state in ("queued", "running")
            time.sleep(0.002)
        opened.done(opened.parse(f"pause {job}"))
        finish(opened, job, state="paused")
        opened.done(opened.parse(f"resume {job}"))
        finish(opened, job)
        again = opened.result(job).data
        for (step, before), (other, after) in zip(whole["losses"], again["losses"], strict=True):
            assert step == other and after == pytest.approx(before, abs=1e-6), f"{method}, step {step}"
    measured = done(opened, "evaluate prompt --on lines --task perplexity --rows 8")
    trained = opened.workspace.models.get("prompt").facts["eval_loss_after"]

    assert math.log(measured["metrics"]["perplexity"]) == pytest.approx(trained, rel=0.1), "the tuned prompt's tokens are not measured"


def test_adapters_are_merged(opened: Engine) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from engine.models.load import attach, load_causal

    done(opened, f"{TRAIN} --method rslora --name one")
    done(opened, f"{TRAIN} --method rslora --name two --seed 3")
    base = Path(opened.workspace.models.get("tiny").folder)
    done(opened, "merge one --name whole")
    assert opened.workspace.models.get("whole").kind == "chat"
    ids = torch.arange(5, 25).unsqueeze(0)

    def logits(model: Any) -> Any:
        with torch.no_grad():
            return model.eval()(input_ids=ids).logits.float()

    merged = logits(AutoModelForCausalLM.from_pretrained(opened.workspace.models.get("whole").folder, dtype="float32"))
    worn = logits(attach(load_causal(base, dtype="float32")[0], Path(opened.workspace.models.get("one").folder)))
    assert torch.allclose(merged, worn, atol=1e-4) and not torch.allclose(merged, logits(load_causal(base, dtype="float32")[0]), atol=1e-3)

    done(opened, "merge one two --weights 1,0 --how cat --adapter --name first")
    record = opened.workspace.models.get("first")
    assert (record.kind, record.base) == ("adapter", "tiny")
    assert torch.allclose(logits(attach(load_causal(base, dtype="float32")[0], Path(record.folder))), worn, atol=1e-4), "1 of one and 0 of two is one"
    done(opened, "merge one two --weights 0.5,0.5 --how linear --name half")
    half = logits(AutoModelForCausalLM.from_pretrained(opened.workspace.models.get("half").folder, dtype="float32"))
    assert not torch.allclose(half, worn, atol=1e-4)
    shutil.rmtree(opened.workspace.models.get("two").folder)
    for line, told in (
        ("merge tiny --name x", "no adapter"), ("merge one two --weights 1 --name x", "2 adapters, and 1 weights"), ("merge one --name half", "already"),
    ):  # fmt: skip
        with pytest.raises(BitternError, match=told):
            opened.done(opened.parse(line))
