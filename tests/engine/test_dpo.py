"""Preference: its rows, its losses by their formulas, and a margin that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.data.shape import as_messages, as_preference, recognise
from engine.engine import Engine
from engine.errors import DataError
from engine.store.datasets import DatasetRecord
from tests.fakes.follow import finish
from tests.fakes.tiny import preferences

if TYPE_CHECKING:
    from pathlib import Path

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
OTHER = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go away"}]


def record(rows: list[dict[str, Any]]) -> DatasetRecord:
    features = {name: "string" if isinstance(value, str) else "list" for name, value in rows[0].items()}
    shape, columns = recognise(features, rows)
    return DatasetRecord(name="p", source="", folder="", fingerprint="", splits={}, features=features, bytes=0, shape=shape, columns=columns)


def test_preferences_are_recognised_in_both_spellings() -> None:
    row: dict[str, Any] = {"prompt": "Hi", "chosen": "Hello", "rejected": "Go away"}
    assert as_preference(record([row]), row) == ([{"role": "user", "content": "Hi"}], "Hello", "Go away")
    both: dict[str, Any] = {"chosen": CHAT, "rejected": OTHER}
    assert as_preference(record([both]), both) == (CHAT[:1], "Hello", "Go away")
    assert as_messages(record([both]), both) == CHAT, "supervised training takes the chosen answer"
    apart: dict[str, Any] = {"chosen": CHAT, "rejected": [{"role": "user", "content": "Else"}, OTHER[1]]}
    for bad in (apart, {"chosen": CHAT, "rejected": ""}, {"chosen": None, "rejected": OTHER}):
        with pytest.raises(DataError):
            as_preference(record([both]), bad)


def test_the_losses_are_those_of_their_papers() -> None:
    import math

    import torch

    from engine.training.recipes.dpo import preference

    margin = torch.tensor([0.7, -1.3], dtype=torch.float64)
    for name, formula in (
        ("sigmoid", lambda m: -math.log(1 / (1 + math.exp(-0.1 * m)))), ("hinge", lambda m: max(0.0, 1 - 0.1 * m)), ("ipo", lambda m: (m - 5) ** 2),
    ):  # fmt: skip
        assert preference(name, margin, 0.1).tolist() == pytest.approx([formula(m) for m in margin.tolist()], abs=1e-12)


def test_the_margin_grows(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = tmp_path / "pairs.jsonl"
    file.write_text(preferences(64), encoding="utf-8")
    engine = Engine(tiny_home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"add {file} --name pairs")).data["job"])
        assert engine.workspace.datasets.get("pairs").shape == "preference"
        line = "train tiny --on pairs --max-steps 16 --eval-steps 8 --learning-rate 0.005 --allow leak,stop,truncated"
        for more in ("", " --loss orpo --learning-rate 0.01", " --method full --loss ipo"):
            words = line.replace(" --learning-rate 0.005", "") + more if "learning-rate" in more else line + more
            job = engine.run(engine.parse(words)).data["job"]
            finish(engine, job, seconds=120)
            told = engine.result(job).data
            assert told["recipe"] == "dpo" and told["eval_margin_after"] > told["eval_margin_before"] + 0.01, more
            if not more:
                assert told["eval_margin_before"] == pytest.approx(0, abs=1e-5), "before the training it is its own reference"
                assert told["eval_loss_before"] == pytest.approx(0.693147, abs=1e-4) and told["eval_loss_after"] < 0.6
        kept = engine.run(engine.parse("train tiny --on pairs --recipe sft --max-steps 1 --allow leak,stop,truncated")).data["job"]
        finish(engine, kept)
    finally:
        engine.close(5)
