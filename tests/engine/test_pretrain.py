"""Continued pretraining: blocks that hold every token once, what gates and the mask say of them, and bits that fall."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from engine.training.recipes.pretrain import blocks
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model, texts

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


def test_every_token_but_the_first_is_foretold_once() -> None:
    for count in (2, 7, 8, 9, 15, 64):
        tokens = list(range(count))
        rows = blocks(tokens, 8)
        assert [token for row in rows for token in row["input_ids"][1:]] == tokens[1:]
        assert all(len(row["input_ids"]) == 8 for row in rows[:-1]) and len(rows[-1]["input_ids"]) > 1
    assert blocks([1], 8) == []


def test_texts_stand_behind_each_other_with_their_stop_token(tmp_path: Path) -> None:
    from engine.models.load import load_tokenizer
    from engine.training.mask import of_texts

    tokenizer = load_tokenizer(chat_model(tmp_path / "tiny"))
    found = of_texts(tokenizer, ["heron", "a<|im_end|>b"])
    assert [tokenizer.decode(ids) for ids in found] == ["heron<|im_end|>", "a<|im_end|>b<|im_end|>"]
    assert [ids.count(tokenizer.eos_token_id) for ids in found] == [1, 1], "a control token in a text is text"
    assert of_texts(tokenizer, []) == []


def test_a_model_goes_on_with_plain_texts(opened: Engine, tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(texts(60), encoding="utf-8")
    finish(opened, opened.run(opened.parse(f"add {file} --name notes")).data["job"])
    assert opened.workspace.datasets.get("notes").shape == "text"
    line = "train tiny --on notes --max-steps 16 --max-length 64 --eval-steps 8 --method full --learning-rate 0.005 --samples 1 --allow leak --name writer"
    job = opened.run(opened.parse(line)).data["job"]
    finish(opened, job, seconds=120)
    facts = opened.workspace.models.get("writer").facts
    assert facts["recipe"] == "pretrain" and facts["rows"] == 53 and facts["blocks"] == -(-(facts["tokens"] - 1) // 63)
    assert facts["eval_loss_after"] < facts["eval_loss_before"] - 1, "nats a token"
    gates = {gate["name"]: gate["says"] for gate in opened.result(job).data["gates"]}
    assert "blocks of 64" in gates["truncated"] and "all of 53" in gates["stop"] and "1 of 54" in gates["empty"]
    sample = json.loads((opened.workspace.paths.job(job) / "samples.jsonl").read_text("utf-8").splitlines()[0])
    assert len(sample["prompt"]) == 16 and sample["wanted"]

    seen = opened.run(opened.parse("mask notes --model tiny --max-length 16")).data["job"]
    finish(opened, seen)
    told = opened.result(seen).data
    assert told["counts"]["learnt"] == told["counts"]["tokens"] and {token["part"] for token in told["rows"][0]["tokens"]} == {"loss"}

    measured = {}
    for name in ("tiny", "writer"):
        done = opened.run(opened.parse(f"evaluate {name} --on notes --rows 12")).data["job"]
        finish(opened, done)
        measured[name] = opened.result(done).data["metrics"]
    assert measured["writer"]["bits_per_byte"] < measured["tiny"]["bits_per_byte"] - 1
    # One token is one byte here, so both say the same.
    assert measured["tiny"]["bits_per_byte"] == pytest.approx(math.log2(measured["tiny"]["perplexity"]), rel=1e-6)
