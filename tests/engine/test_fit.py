"""How much memory a model needs: parameters against the models themselves, terms against what torch really keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engine.devices import memory
from engine.engine import Engine
from engine.errors import BitternError, ModelError
from engine.models.fit import fit_of_config, inference, kv_bytes, training, verdict, weight_bytes
from engine.models.learned import solve
from engine.models.shapes import from_numbers, shape_of
from engine.store.models import ModelRecord
from engine.store.peaks import PeakRecord
from engine.store.workspace import Workspace
from tests.fakes.follow import finish
from tests.fakes.tiny import instruction_rows

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"vocab_size": 1003, "hidden_size": 96, "intermediate_size": 200, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2}
GPT = {"vocab_size": 1003, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
BERT = {**GPT, "intermediate_size": 300, "num_labels": 5}
OTHER = {"dim": 96, "n_layers": 3, "n_heads": 4, "hidden_dim": 300, "vocab_size": 1003}
T5 = {"vocab_size": 1003, "d_model": 96, "d_kv": 16, "d_ff": 200, "num_layers": 3, "num_heads": 4}
MODELS: list[tuple[str, str, dict[str, Any]]] = [
    ("Llama", "ForCausalLM", SMALL),
    ("Llama", "ForCausalLM", {**SMALL, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    *((name, "ForCausalLM", SMALL) for name in ("Qwen2", "Qwen3", "Gemma", "Gemma2", "SmolLM3", "Granite", "Olmo2", "Mixtral")),
    ("Mistral", "ForCausalLM", {**SMALL, "head_dim": 32}),
    ("Phi3", "ForCausalLM", SMALL),
    ("Qwen3Moe", "ForCausalLM", {**SMALL, "num_experts": 4, "moe_intermediate_size": 64}),
    ("GPT2", "LMHeadModel", {"vocab_size": 1003, "n_embd": 96, "n_layer": 3, "n_head": 4}),
    ("GPTNeoX", "ForCausalLM", {**GPT, "intermediate_size": 300}),
    ("Bloom", "ForCausalLM", {"vocab_size": 1003, "hidden_size": 96, "n_layer": 3, "n_head": 4}),
    ("Falcon", "ForCausalLM", GPT),
    ("Falcon", "ForCausalLM", {**GPT, "multi_query": False, "bias": True, "alibi": True, "parallel_attn": False}),
    ("Falcon", "ForCausalLM", {**GPT, "new_decoder_architecture": True, "num_kv_heads": 2}),
    *(("Bert", head, BERT) for head in ("Model", "ForSequenceClassification", "ForMaskedLM", "ForTokenClassification")),
    ("Roberta", "ForSequenceClassification", BERT),
    ("DistilBert", "ForSequenceClassification", OTHER),
    ("DistilBert", "Model", OTHER),
    ("T5", "ForConditionalGeneration", T5),
    ("T5", "ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
]


def test_parameters_are_counted_exactly_from_the_config_of_every_known_family() -> None:
    import torch
    import transformers

    for family, head, values in MODELS:
        config = getattr(transformers, f"{family}Config")(**{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **values})
        with torch.device("meta"):
            model = getattr(transformers, family + head)(config)
        shape = shape_of({**config.to_dict(), "architectures": [family + head]})
        assert shape.parameters == model.num_parameters(), f"{family}{head} {values}"
        assert shape.known


def test_lora_counts_what_peft_makes() -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SMALL)
    with torch.device("meta"):
        model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert shape_of(config.to_dict()).lora(4) == model.get_nb_trainable_parameters()[0]


def test_keys_and_values_follow_from_their_heads_and_their_windows() -> None:
    grouped = shape_of({**SMALL, "model_type": "llama"})
    assert kv_bytes(grouped, 100) == 2 * 3 * 100 * 2 * 12 * 2
    assert kv_bytes(shape_of({**SMALL, "num_key_value_heads": 1, "model_type": "llama"}), 100) == kv_bytes(grouped, 100) // 2
    windowed = shape_of({**SMALL, "model_type": "mistral", "sliding_window": 40})
    assert kv_bytes(windowed, 100) == kv_bytes(grouped, 40)
    half = shape_of({**SMALL, "model_type": "gemma2", "head_dim": 12, "sliding_window": 40})
    assert (half.windowed, kv_bytes(half, 100)) == (2, 2 * (100 + 2 * 40) * 2 * 12 * 2)
    assert kv_bytes(shape_of({**BERT, "model_type": "bert"}), 100) == 0


def test_a_quantised_weight_takes_its_bits() -> None:
    shape = shape_of({**SMALL, "model_type": "llama"})
    assert weight_bytes(shape, "float32") == 4 * shape.parameters
    assert weight_bytes(shape, "Q8_0") == shape.parameters * 34 // 32
    assert weight_bytes(shape, "nf4") == int(shape.projections * 4.5 / 8) + 2 * (shape.parameters - shape.projections)
    with pytest.raises(ValueError, match="no dtype or quantisation"):
        inference(shape, dtype="float7")


@pytest.mark.parametrize(("method", "mixed"), [("full", False), ("lora", True), ("dora", False), ("ia3", False), ("prompt", False)])
def test_activations_are_what_torch_keeps_for_the_backward_pass(method: str, mixed: bool) -> None:
    """The layers' own activations (a deeper model less a shallower one) within a sixth of what is counted by hooks."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from engine.training.methods import adapt
    from engine.training.spec import TrainSpec

    spec = TrainSpec.model_validate({"recipe": "sft", "base": "b", "dataset": "d", "name": "n", "method": method})
    sizes = {"vocab_size": 300, "hidden_size": 192, "intermediate_size": 512, "num_attention_heads": 6, "num_key_value_heads": 2}

    def kept(layers: int) -> tuple[int, int]:
        config = LlamaConfig(**sizes, num_hidden_layers=layers, tie_word_embeddings=True, use_cache=False)
        model: Any = LlamaForCausalLM(config)
        model = adapt(model.bfloat16() if mixed and method == "lora" else model, spec, "CAUSAL_LM")
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        seen: dict[int, int] = {}

        def pack(tensor: Any) -> Any:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        ids = torch.randint(0, 300, (4, 128))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            model.train()(input_ids=ids, labels=ids)
        fit = training(shape_of(config.to_dict()), method=method, batch_size=4, max_length=128, precision="bf16" if mixed else "fp32")
        copies = 2 * shape_of(config.to_dict()).projections if mixed and method == "full" else 0
        return sum(size for at, size in seen.items() if at not in own), fit.terms["activations"] + copies

    (few, guessed_few), (many, guessed_many) = kept(1), kept(3)
    assert (guessed_many - guessed_few) / (many - few) == pytest.approx(1, abs=0.17)


def test_training_terms_follow_method_optimizer_and_checkpointing() -> None:
    shape = shape_of({**SMALL, "model_type": "llama"})
    full = training(shape, method="full", precision="fp32")
    assert full.trainable == shape.parameters
    assert (full.terms["weights"], full.terms["gradients"], full.terms["optimizer"]) == tuple(n * shape.parameters for n in (4, 4, 8))
    lora = training(shape, method="lora", precision="fp32", rank=4)
    assert lora.terms["optimizer"] == 8 * shape.lora(4) and lora.terms["weights"] == 4 * shape.parameters + 4 * shape.lora(4)
    assert training(shape, optimizer="sgd").terms["optimizer"] == 0
    deep = shape_of({**SMALL, "num_hidden_layers": 30, "model_type": "llama"})
    bits = [training(deep, frozen=frozen).terms["weights"] for frozen in ("", "int8", "nf4")]
    assert bits == sorted(bits, reverse=True) and bits[2] == training(deep, method="qlora").terms["weights"]
    assert training(deep, checkpointing=True).terms["activations"] < training(deep).terms["activations"] / 3
    assert training(shape, batch_size=4).terms["activations"] * 2 == training(shape, batch_size=8).terms["activations"]


def test_a_fit_before_any_download_takes_what_is_known() -> None:
    fit = fit_of_config({**SMALL, "model_type": "llama", "dtype": "bfloat16"})
    assert fit.exact and fit.terms["weights"] == 2 * fit.parameters
    assert fit_of_config({**SMALL, "model_type": "llama"}, 12345).terms["weights"] == 12345
    odd = fit_of_config({"model_type": "unheard-of", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100})
    assert not odd.exact and odd.parameters > 0
    inside = fit_of_config({"model_type": "gemma3", "text_config": {**SMALL, "model_type": "gemma3_text"}})
    assert inside.exact and inside.parameters == shape_of({**SMALL, "model_type": "gemma3_text"}).parameters
    guessed = fit_of_config({"model_type": "mystery"}, 4_000_000_000)
    assert not guessed.exact and guessed.parameters == pytest.approx(1_000_000_000, rel=0.05)
    for wrong in ({}, {"hidden_size": "wide", "num_hidden_layers": 2}, {**SMALL, "num_attention_heads": 0, "model_type": "llama"}):
        with pytest.raises(ValueError, match="names no layers"):
            fit_of_config(wrong)


def test_a_shape_from_bare_numbers_holds_that_many_parameters() -> None:
    assert from_numbers(7_000_000_000).parameters == pytest.approx(7e9, rel=0.03)
    assert from_numbers(135_000_000, layers=30, width=576, vocabulary=49152).parameters == pytest.approx(135e6, rel=0.1)


def test_what_is_nearly_full_is_tight() -> None:
    assert [verdict(need, 1000) for need in (800, 900, 1000, 1001)] == ["fits", "tight", "tight", "does not fit"]


def home_with(home: Path, **config: Any) -> Workspace:
    workspace = Workspace(home)
    folder = home / "made"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**SMALL, "model_type": "llama", "dtype": "float32", **config}))
    workspace.models.put(ModelRecord("made", "chat", "made", 1, folder=str(folder)))
    return workspace


def test_what_was_measured_moves_the_prediction_and_tiny_jobs_leave_the_factor_alone() -> None:
    plain = solve([], 600)
    assert (round(plain.a), plain.b, plain.jobs) == (600, 1.0, 0)
    tiny = [PeakRecord(str(n), "training", "m", 610_000_000, 600_000_000, 610_000_000, 900_000_000) for n in range(6)]
    learnt = solve(tiny, 600_000_000)
    assert learnt.at(10_000_000) == pytest.approx(900e6, rel=0.05), "what they all took"
    assert learnt.at(20_000_000_000) == pytest.approx(20.9e9, rel=0.02), "and nothing is said of large ones"
    assert learnt.error == pytest.approx(290 / 900, rel=0.01)
    large = [
        PeakRecord(str(n), "training", "m", size + 600_000_000, 600_000_000, 1, int(600e6 + 1.3 * size)) for n, size in enumerate((2e9, 4e9, 8e9))
    ]
    assert solve(large, 600_000_000).at(6e9) == pytest.approx(600e6 + 1.3 * 6e9, rel=0.05)


def test_fit_answers_by_term_for_a_model_a_file_and_a_size(engine: Engine, home: Path) -> None:
    home_with(home).close()
    result = engine.run(engine.parse("fit made"))
    assert result.data["verdict"] == "fits" and result.data["terms"]["weights"] > 0 and result.data["parameters"] == 435_168
    assert {"terms", "total", "corrected", "memory", "advice", "learned_from", "measured"} <= set(result.data)
    train = engine.run(engine.parse("fit made --train --method full --optimizer sgd --precision fp32"))
    assert train.data["terms"]["optimizer"] == 0 and train.data["trainable"] == 435_168
    assert engine.run(engine.parse(f"fit {home / 'made' / 'config.json'}")).data["parameters"] == 435_168
    huge = engine.run(engine.parse("fit 900b --train --method full"))
    assert huge.data["verdict"] == "does not fit" and "smaller model" in huge.data["advice"]
    free = memory().free
    needy = engine.run(engine.parse("fit 500m --train --batch-size 512"))
    assert needy.data["corrected"] > free and "--batch-size" in needy.data["advice"]
    for line, words in (
        ("fit made --dtype q9", "no dtype"),
        ("fit made --train --optimizer adamant", "no optimiser"),
        ("fit nowhere", "no model called"),
    ):
        with pytest.raises(BitternError, match=words):
            engine.run(engine.parse(line))


def test_a_training_that_cannot_fit_is_refused_and_can_be_forced(engine: Engine, home: Path) -> None:
    home_with(home, hidden_size=65536, intermediate_size=300_000, num_hidden_layers=400).close()
    file = home / "lines.jsonl"
    file.write_text(instruction_rows(8))
    finish(engine, engine.run(engine.parse(f"add {file} --name lines")).data["job"])
    with pytest.raises(ModelError, match=r"needs at least [\d.]+ GiB") as caught:
        engine.run(engine.parse("train made --on lines"))
    assert "--force" in caught.value.hint and not [job for job in engine.jobs() if job.verb == "train"]
    engine.queue.close(5)  # It is queued, and never run.
    assert engine.run(engine.parse("train made --on lines --force")).data["job"]


@pytest.mark.slow
def test_a_training_measures_its_memory_and_teaches_the_next_prediction(tiny_home: Path) -> None:
    opened = Engine(tiny_home, everything=True)
    try:
        before = opened.run(opened.parse("fit tiny --train")).data
        assert before["learned_from"] == 0
        job = finish(opened, opened.run(opened.parse("train tiny --on lines --max-steps 2 --eval-rows 4")).data["job"], seconds=150).id
        record = opened.workspace.peaks.find(job)
        assert record is not None and record.kind == "training" and record.model == "tiny"
        assert 100e6 < record.measured < 4e9 and record.predicted > 0
        assert record.settings["max_length"] < 512, "the longest row counts, not the limit"
        after = opened.run(opened.parse("fit tiny --train --max-length 64")).data
        assert after["learned_from"] == 1 and [entry["job"] for entry in after["measured"]] == [job]
        assert abs(after["corrected"] - record.measured) < abs(record.corrected - record.measured)
        rows = dict(row[:2] for row in opened.run(opened.parse(f"job {job}")).table.rows)
        assert "measured" in rows["memory"] and "expected" in rows["memory"]
    finally:
        opened.close(5)


def test_a_row_counts_as_often_as_it_is_in_memory(tiny_home: Path) -> None:
    """A preference is two sequences, and a copy of all weights where every one of them learns."""
    from engine.store.workspace import Workspace
    from engine.training.memory import fit_of
    from engine.training.spec import TrainSpec

    workspace = Workspace(tiny_home)
    try:

        def terms(recipe: str, batch_size: int, **more: Any) -> dict[str, int]:
            spec = TrainSpec(recipe=recipe, base="tiny", dataset="rows", name="out", batch_size=batch_size, max_length=64, **more)  # type: ignore[arg-type]
            return fit_of(workspace, spec).terms

        assert terms("dpo", 4) == terms("sft", 8)
        assert terms("dpo", 4, method="full", loss="orpo") == (whole := terms("sft", 8, method="full"))
        assert terms("dpo", 4, method="full") == {**whole, "weights": 2 * whole["weights"]}
        assert terms("kto", 4) == terms("sft", 4)
    finally:
        workspace.close()
