"""Feedback: its rows, its loss by its formula, and a margin that grows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.shape import as_feedback, as_text, corrected, recognise
from engine.errors import DataError
from engine.store.datasets import DatasetRecord
from tests.fakes.follow import finish
from tests.fakes.tiny import marked_answers

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

FEATURES = {"prompt": "string", "completion": "string", "label": "bool"}
ROW: dict[str, Any] = {"prompt": "Hi", "completion": "Hello", "label": True}


def record(features: dict[str, str], columns: dict[str, str]) -> DatasetRecord:
    return DatasetRecord(name="f", source="", folder="", fingerprint="", splits={}, features=features, bytes=0, shape="feedback", columns=columns)


def test_feedback_is_recognised_or_named() -> None:
    roles = {name: name for name in FEATURES}
    assert recognise(FEATURES, [ROW]) == ("feedback", roles)
    assert recognise({**FEATURES, "label": "string"}, [{**ROW, "label": "greeting"}])[0] == "instruction"
    named = {"prompt": "prompt", "completion": "completion"}
    assert corrected(FEATURES, [ROW], named) == ("instruction", named), "who names both means an instruction"
    numbers = {"asked": "string", "said": "string", "up": "int64"}
    given = {"prompt": "asked", "completion": "said", "label": "up"}
    assert corrected(numbers, [{"asked": "Hi", "said": "Hello", "up": 1}], given) == ("feedback", given)
    here = record(FEATURES, roles)
    assert as_feedback(here, ROW) == ([{"role": "user", "content": "Hi"}], "Hello", True)
    assert as_feedback(here, {**ROW, "prompt": [{"role": "user", "content": "Hi"}], "label": 0})[2] is False
    assert as_text(here, ROW) == "Hi\nHello"
    for bad in ({"prompt": ""}, {"completion": None}, {"label": None}, {"label": "perhaps"}):
        with pytest.raises(DataError):
            as_feedback(here, {**ROW, **bad})


def test_the_loss_is_that_of_its_paper() -> None:
    import torch

    from engine.training.recipes.kto import feedback

    ratios, usual = torch.tensor([0.7, -1.3], dtype=torch.float64), 0.2
    good = 1 - 1 / (1 + math.exp(-0.5 * (0.7 - usual)))
    bad = 3 * (1 - 1 / (1 + math.exp(-0.5 * (usual + 1.3))))
    found = feedback(ratios, usual, torch.tensor([True, False]), 0.5, {"good": 1.0, "bad": 3.0})
    assert found.tolist() == pytest.approx([good, bad], abs=1e-7)


def test_the_margin_of_feedback_grows(opened: Engine, tmp_path: Path) -> None:
    file = tmp_path / "marked.jsonl"
    file.write_text(marked_answers(64), encoding="utf-8")
    finish(opened, opened.run(opened.parse(f"add {file} --name marked")).data["job"])
    line = "train tiny --on marked --max-steps 16 --eval-steps 8 --learning-rate 0.005 --allow leak,stop,truncated --name liked"
    job = opened.run(opened.parse(line)).data["job"]
    finish(opened, job, seconds=120)
    told, facts = opened.result(job).data, opened.workspace.models.get("liked").facts
    assert told["recipe"] == "kto" and facts["good"] + facts["bad"] == facts["rows"] and facts["weights"]["bad"] == facts["good"] / facts["bad"]
    assert told["eval_loss_before"] == pytest.approx((facts["weights"]["bad"] + 1) / 4, abs=0.2), "before the training σ is a half everywhere"
    assert told["eval_margin_before"] == pytest.approx(0, abs=1e-5) and told["eval_margin_after"] > 0.05

    for wrong in ("sft", "dpo"):
        with pytest.raises(DataError) as caught:
            opened.run(opened.parse(f"train tiny --on marked --recipe {wrong}"))
        assert "kto learns from such rows" in str(caught.value.hint)
    finish(opened, opened.run(opened.parse("filter marked --as praise label")).data["job"])
    alone = opened.run(opened.parse("train tiny --on praise --max-steps 1")).data["job"]
    error = finish(opened, alone, state="failed").error
    assert error is not None and "marked good" in error["message"]
