"""Logits where they are needed: the same losses as with all of them, and as TRL's trainers have on the same rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.tiny import chat_model, marked_answers, preferences

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("foretold") / "tiny")


def loaded(folder: Path, *, virtual: bool = False) -> Any:
    """The tiny model with an adapter that already changes it, of virtual tokens or LoRA's, and no dropout."""
    import torch
    from peft import LoraConfig, PromptTuningConfig, get_peft_model

    from engine.models.load import load_causal

    model, _ = load_causal(folder, dtype="float32")
    torch.manual_seed(1)
    if virtual:
        return get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False))


def encoded(folder: Path, row: dict[str, Any], answer: str) -> dict[str, Any]:
    from engine.models.load import load_tokenizer
    from engine.training.mask import encode

    found = encode(load_tokenizer(folder), [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": answer}], 512)
    assert found is not None
    return {"input_ids": found.input_ids, "labels": found.labels, "prompt": found.prompt}


def preferred(folder: Path) -> list[dict[str, Any]]:
    found = []
    for row in map(json.loads, preferences(6).splitlines()):
        chosen, rejected = encoded(folder, row, row["chosen"]), encoded(folder, row, row["rejected"])
        found.append({**chosen, "rejected_ids": rejected["input_ids"], "rejected_labels": rejected["labels"]})
    return found


def test_the_loss_is_the_same_where_only_answers_are_foretold(folder: Path) -> None:
    import torch

    from engine.training.collate import Pad, PadAnswers
    from engine.training.foretold import chooses

    rows = [{name: row[name] for name in ("input_ids", "labels")} for row in preferred(folder)]
    model = loaded(folder)
    assert chooses(model) and chooses(model.get_base_model())
    whole, part = Pad(0)(rows), PadAnswers(0)(rows)
    learnt = sum(label != -100 for row in rows for label in row["labels"])
    assert len(part["shift_labels"]) == int(part["logits_to_keep"].sum()) == learnt
    losses, gradients = [], []
    for batch, count in ((whole, None), (part, None), (whole, torch.tensor(100)), (part, torch.tensor(100))):
        model.zero_grad()
        loss = model(**batch, **({} if count is None else {"num_items_in_batch": count})).loss
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6) and losses[2] == pytest.approx(losses[3], abs=1e-6)
    assert losses[2] == pytest.approx(losses[0] * learnt / 100, abs=1e-6)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


def test_likelihoods_are_those_of_all_logits_behind_virtual_tokens_too(folder: Path) -> None:
    import torch

    from engine.training.collate import Pad
    from engine.training.foretold import chooses, log_likelihood

    batch = Pad(0)([{name: row[name] for name in ("input_ids", "labels")} for row in preferred(folder)])
    for virtual in (False, True):
        model = loaded(folder, virtual=virtual).eval()
        assert chooses(model) is not virtual
        with torch.no_grad():
            sums, tokens = log_likelihood(model, batch)
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, -batch["labels"].shape[1] : -1]
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch["labels"][:, 1:], ignore_index=-100, reduction="none")
        torch.testing.assert_close(sums, -each.sum(-1), atol=1e-4, rtol=1e-5)
        assert tokens.tolist() == (batch["labels"] != -100).sum(-1).tolist()


def test_an_answer_of_feedback_stands_behind_the_next_prompt() -> None:
    from engine.training.recipes.kto import mismatched

    rows = [{"input_ids": [1, 2, 3, 4], "prompt": 2}, {"input_ids": [5, 6, 7], "prompt": 2}]
    assert mismatched(rows) == [
        {"input_ids": [1, 2, 7], "labels": [-100, -100, 7]},
        {"input_ids": [5, 6, 3, 4], "labels": [-100, -100, 3, 4]},
    ]  # fmt: skip
    assert mismatched(rows[1:]) == [{"input_ids": [5, 6, 7], "labels": [-100, -100, 7]}]


def test_the_losses_are_those_of_trl(folder: Path, tmp_path: Path) -> None:
    """DPO's and KTO's on one batch and with one adapter, ours beside those of ``DPOTrainer`` and ``KTOTrainer``."""
    trl = pytest.importorskip("trl")
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    from engine.models.load import load_causal

    common: dict[str, Any] = {"report_to": "none", "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "beta": 0.3}
    common |= {"output_dir": str(tmp_path), "per_device_train_batch_size": 6}
    adapter = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    marked = [json.loads(line) for line in marked_answers(6).splitlines()]
    cases: list[Any] = [
        ("dpo", trl.DPOTrainer, trl.DPOConfig(**common), preferred(folder), [json.loads(line) for line in preferences(6).splitlines()]),
        (
            "kto", trl.KTOTrainer, trl.KTOConfig(**common, desirable_weight=1.0, undesirable_weight=2.0, train_sampling_strategy="sequential"),
            [{**encoded(folder, row, row["completion"]), "good": row["label"]} for row in marked], marked,
        ),
    ]  # fmt: skip
    for name, trainer, args, rows, told in cases:
        model, tokenizer = load_causal(folder, dtype="float32")
        theirs = trainer(model=model, args=args, train_dataset=Dataset.from_list(told), processing_class=tokenizer, peft_config=adapter)
        theirs.model.eval()
        cut = [row["prompt"] for row in rows]
        if name == "dpo":
            batch = DataCollatorForPreference(0)(
                [
                    {"prompt_ids": row["input_ids"][:at], "chosen_ids": row["input_ids"][at:], "rejected_ids": row["rejected_ids"][at:]}
                    for row, at in zip(rows, cut, strict=True)
                ]
            )
        else:
            answers = [row["input_ids"][at:] for row, at in zip(rows, cut, strict=True)]
            batch = DataCollatorForUnpairedPreference(0)(
                [
                    {"prompt_ids": row["input_ids"][:at], "completion_ids": own, "KL_completion_ids": other, "label": row["good"]}
                    for row, at, own, other in zip(rows, cut, answers, [answers[-1], *answers[:-1]], strict=True)
                ]
            )
        theirs_loss = float(theirs.compute_loss(theirs.model, batch).detach())
        ours_loss = our_loss(name, rows, theirs.model, tokenizer, tmp_path)
        assert ours_loss == pytest.approx(theirs_loss, abs=1e-5), name
        assert abs(theirs_loss - {"dpo": 0.693147, "kto": 0.75}[name]) > 0.001, "the adapter makes a difference"


def our_loss(name: Any, rows: list[dict[str, Any]], model: Any, tokenizer: Any, place: Path) -> float:
    """The loss of ``rows`` as the recipe of that name computes it."""
    import torch
    from transformers import TrainingArguments

    from engine.training.recipes import recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec

    how = recipe(name)
    spec = TrainSpec(recipe=name, base="b", dataset="d", name="n", beta=0.3)
    prepared = Prepared(rows, rows, tokenizer, {"weights": {"good": 1.0, "bad": 2.0}})
    args = TrainingArguments(output_dir=str(place), use_cpu=True, report_to="none", **how.arguments(spec))
    ours: Any = how.trainer(spec, prepared, model, args)
    with torch.no_grad():
        return float(ours.compute_loss(model, how.collate(prepared)(rows)))
