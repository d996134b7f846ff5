"""PEFT's methods: what each saves fits the untouched base, merges to the same logits, and goes on to the same losses after a pause."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError
from engine.training.spec import TrainSpec
from tests.engine.test_adapters import lora
from tests.fakes.follow import done, finish
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken

TRAIN = "train tiny --on lines --max-steps 4 --eval-steps 4 --eval-rows 8 --rows 24 --allow leak,stop --learning-rate 0.01"
METHODS = {
    "dora": {"method": "dora"}, "rslora": {"method": "rslora"}, "ia3": {"method": "ia3"}, "prompt": {"method": "prompt"},
    "orthogonal": {"init": "orthogonal"}, "pissa": {"init": "pissa"}, "olora": {"init": "olora", "method": "rslora"},
}  # fmt: skip
TRAINED = ("dora", "ia3", "prompt", "pissa")
"""The others have LoRA's weights and no more."""
RESUMED = ("dora", "pissa")
SPEC: dict[str, Any] = {"recipe": "sft", "base": "b", "dataset": "d", "name": "n"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return talkative(chat_model(tmp_path_factory.mktemp("methods") / "tiny"))


def logits(folder: Path, adapter: Path | None = None) -> Any:
    import torch

    from engine.models.load import load_causal

    model, _ = load_causal(folder, adapter, dtype="float32")
    with torch.no_grad():
        return model(torch.arange(3, 40)[None]).logits[:, -37:]


@pytest.mark.parametrize("name", METHODS)
def test_what_each_method_saves_says_the_same_on_the_untouched_base_and_merged(tiny: Path, tmp_path: Path, name: str) -> None:
    import torch

    from engine.models.load import load_causal
    from engine.models.merge import into_base
    from engine.training import methods

    model, tokenizer = load_causal(tiny, dtype="float32")
    torch.manual_seed(4)
    adapted = methods.adapt(model, TrainSpec.model_validate({**SPEC, **METHODS[name]}), "CAUSAL_LM").eval()
    tokens = torch.arange(3, 40)[None]
    with torch.no_grad():
        plain = adapted(tokens).logits[:, -37:]
        if name not in ("prompt", "orthogonal"):
            assert torch.allclose(plain, logits(tiny), atol=1e-3), "it begins as its base"
        for weight in adapted.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
        learnt = adapted(tokens).logits[:, -37:]
    methods.save(adapted, tmp_path / ".tuned.v2")
    tokenizer.save_pretrained(tmp_path / ".tuned.v2")
    assert not torch.allclose(learnt, logits(tiny), atol=1e-2), "it learnt something"
    assert torch.allclose(logits(tiny, tmp_path / ".tuned.v2"), learnt, atol=1e-3)
    if name == "prompt":
        with pytest.raises(BitternError, match="tuned prompt"):
            into_base(tiny, [tmp_path / ".tuned.v2"], [1.0], "cat", tmp_path / "whole")
        return
    into_base(tiny, [tmp_path / ".tuned.v2"], [1.0], "cat", tmp_path / "whole")
    assert torch.allclose(logits(tmp_path / "whole"), learnt, atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_the_memory_estimate_counts_what_each_method_trains(tiny: Path, name: str) -> None:
    from engine.models.fit import training
    from engine.models.load import load_causal
    from engine.models.shapes import shape_of
    from engine.training.methods import adapt

    spec = TrainSpec.model_validate({**SPEC, **METHODS[name]})
    adapted = adapt(load_causal(tiny, dtype="float32")[0], spec, "CAUSAL_LM")
    counted = training(shape_of(json.loads((tiny / "config.json").read_text("utf-8"))), method=spec.method, frozen=spec.frozen).trainable
    assert counted == sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def test_what_does_not_go_together_is_refused_before_anything_is_loaded() -> None:
    from engine.training.methods import check

    for wrong, words in (
        ({"method": "full", "init": "pissa"}, "is LoRA's"), ({"method": "dora", "init": "olora"}, "do not go together"),
        ({"recipe": "dpo", "init": "pissa"}, "against the base"), ({"recipe": "kto", "init": "olora"}, "against the base"), ({"recipe": "tag", "method": "prompt"}, "stand on its own"),
        ({"method": "full", "quantise": "4bit"}, "can't learn"), ({"recipe": "tag", "quantise": "8bit"}, "merged into its base"),
        ({"init": "pissa", "quantise": "4bit"}, "whole"), ({"method": "dora", "quantise": "8bit"}, "8 bits"),
    ):  # fmt: skip
        with pytest.raises(BitternError, match=words):
            check(TrainSpec.model_validate({**SPEC, **wrong}))
    check(TrainSpec.model_validate({**SPEC, "recipe": "dpo", "init": "pissa", "loss": "orpo"}))


def test_an_adapter_is_kept_or_merged_as_the_table_of_recipes_says(tiny: Path) -> None:
    from engine.models.load import load_causal
    from engine.training.methods import BEGAN, adapt
    from engine.training.recipes import recipe
    from engine.training.recipes.table import RECIPES

    for name, facts in RECIPES.items():
        spec = TrainSpec.model_validate({**SPEC, "recipe": name})
        assert (recipe(name).kind(spec) == "adapter") == facts.adapter, name
    # Else what is saved would fit a base that nobody has.
    spec = TrainSpec.model_validate({**SPEC, "recipe": "pretrain", "init": "pissa"})
    assert getattr(adapt(load_causal(tiny, dtype="float32")[0], spec, "CAUSAL_LM"), BEGAN)


@pytest.mark.parametrize(("bits", "kind"), [("4bit", "Linear4bit"), ("8bit", "Linear8bitLt")])
def test_an_adapter_learns_on_a_base_of_few_bits(tiny: Path, bits: str, kind: str) -> None:
    pytest.importorskip("bitsandbytes", reason="pip install 'bittern[quantised]'")
    import torch

    from engine.training.recipes.sft import Sft
    from engine.training.rows import Prepared

    torch.manual_seed(0)
    spec = TrainSpec.model_validate({**SPEC, "quantise": bits})
    model = Sft().model(spec, tiny, Prepared([], [], None))
    held = [module for module in model.modules() if type(module).__name__ == kind and not hasattr(module, "base_layer")]
    assert len(held) == 2 * 7, "every linear module of both layers"
    learns = [weight for weight in model.parameters() if weight.requires_grad]
    assert sum(weight.numel() for weight in learns) < 30_000 and {weight.dtype for weight in learns} == {torch.float32}
    optimizer, tokens = torch.optim.AdamW(learns, lr=0.02), torch.arange(3, 40)[None]
    losses = []
    for _ in range(6):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3, losses


def test_methods_learn_and_go_on_to_the_same_losses(opened: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.training import reporting

    ended = reporting.Report.on_step_end

    def pausing(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            token: CancelToken = self._job.token
            token.ask("pause")
        ended(self, args, state, control, **kwargs)

    for name in TRAINED:
        flags = " ".join(f"--{flag} {value}" for flag, value in METHODS[name].items())
        whole = done(opened, f"{TRAIN} {flags} --name {name}")
        assert whole["kind"] == "adapter" and whole["eval_loss_after"] < whole["eval_loss_before"], name
        config = json.loads((Path(opened.workspace.models.get(name).folder) / "adapter_config.json").read_text("utf-8"))
        wanted = {"dora": ("use_dora", True), "ia3": ("peft_type", "IA3"), "prompt": ("peft_type", "PROMPT_TUNING"), "pissa": ("r", 16)}[name]
        assert config[wanted[0]] == wanted[1]
        if name not in RESUMED:
            continue
        with monkeypatch.context() as patched:
            patched.setattr(reporting.Report, "on_step_end", pausing)
            job = opened.run(opened.parse(f"{TRAIN} {flags} --name {name}-again")).data["job"]
            finish(opened, job, state="paused")
        opened.run(opened.parse(f"resume {job}"))
        finish(opened, job)
        again = opened.result(job).data
        for kind in ("losses", "eval_losses"):
            assert [step for step, _ in again[kind]] == [step for step, _ in whole[kind]]
            assert [loss for _, loss in again[kind]] == pytest.approx([loss for _, loss in whole[kind]], abs=1e-6), f"{name}: {kind}"
    for name in ("prompt", "dora"):
        measured = done(opened, f"evaluate {name} --on lines --task perplexity --rows 8")
        trained = opened.workspace.models.get(name).facts["eval_loss_after"]
        assert math.log(measured["metrics"]["perplexity"]) == pytest.approx(trained, rel=1e-4), "what was saved is what was measured"


def test_adapters_are_merged(opened: Engine) -> None:
    import torch

    done(opened, f"{TRAIN} --method rslora --name one")
    done(opened, f"{TRAIN} --init pissa --name two --seed 3")
    base, one, two = (Path(opened.workspace.models.get(name).folder) for name in ("tiny", "one", "two"))
    done(opened, "merge one --name whole")
    assert opened.workspace.models.get("whole").kind == "chat"
    worn, merged = logits(base, one), logits(Path(opened.workspace.models.get("whole").folder))
    assert torch.allclose(merged, worn, atol=1e-4) and not torch.allclose(merged, logits(base), atol=1e-3)
    done(opened, "merge one two --weights 0.7,0.3 --how cat --adapter --name both")
    record = opened.workspace.models.get("both")
    assert (record.kind, record.base) == ("adapter", "tiny")
    parts, got, start = [weights(base, one), weights(base, two)], weights(base, Path(record.folder)), weights(base)
    for key, before in start.items():
        assert torch.allclose(got[key] - before, 0.7 * (parts[0][key] - before) + 0.3 * (parts[1][key] - before), atol=1e-5), key
    other = lora(base, one.parent / "scaled", use_dora=True)
    opened.workspace.models.put(replace(record, name="scaled", folder=str(other)))
    for line, told in (
        ("merge tiny --name x", "no adapter"), ("merge one scaled --name x", "is a DoRA adapter"), ("merge one two --weights 1 --name x", "2 adapters, and 1 weights"), ("merge one --name both", "already"),
    ):  # fmt: skip
        with pytest.raises(BitternError, match=told):
            opened.run(opened.parse(line))


def weights(folder: Path, adapter: Path | None = None) -> dict[str, Any]:
    from engine.models.load import load_causal

    model, _ = load_causal(folder, adapter, dtype="float32")
    whole = model.merge_and_unload() if adapter else model
    return {name: weight.detach() for name, weight in whole.named_parameters()}
