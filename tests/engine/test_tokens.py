"""Texts as tokens, two tokenizers beside each other, and training one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import BitternError, DataError, ModelError
from tests.fakes.encoder import encoder
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


@pytest.fixture
def with_enc(engine: Engine, tmp_path: Path) -> Engine:
    folder = tmp_path / "enc"
    folder.mkdir()
    finish(engine, engine.run(engine.parse(f"pull {encoder(folder)} --name enc")).data["job"])
    return engine


def lines(engine: Engine, tmp_path: Path, rows: int = 400) -> None:
    words = ["heron", "herons", "waits", "waiting", "waited", "water", "waters", "reed", "reeds", "morning", "mornings", "größer", "größte",
             "naïve", "fish", "fishing", "fished", "stand", "standing", "heronry", "watering"]  # fmt: skip
    file = tmp_path / "lines.csv"
    text = "".join(f'"{" ".join(words[(n * k + k) % len(words)] for k in range(1, 9))}",{n % 3}\n' for n in range(rows))
    file.write_text("text,label\n" + text, "utf-8")
    finish(engine, engine.run(engine.parse(f"add {file} --name lines")).data["job"])


def test_a_text_as_tokens_with_places_bytes_and_special_ones(with_enc: Engine) -> None:
    found = with_enc.run(with_enc.parse("tokens --model enc --special the heron")).data["tokenizers"][0]
    assert [token["piece"] for token in found["tokens"]] == ["[CLS]", "the", "heron", "[SEP]"]
    assert [token["special"] for token in found["tokens"]] == [True, False, False, True]
    assert [(token["start"], token["end"], token["bytes"]) for token in found["tokens"][1:3]] == [(0, 3, "74 68 65"), (4, 9, "68 65 72 6f 6e")]
    plain = with_enc.run(with_enc.parse("tokens --model enc the heron")).data["tokenizers"][0]
    assert (plain["count"], plain["tokens_a_word"], plain["bytes_a_token"]) == (2, 1.0, 4.5)


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_a_trained_tokenizer_is_used_everywhere(with_enc: Engine, tmp_path: Path, kind: str) -> None:
    engine = with_enc
    lines(engine, tmp_path)
    job = engine.run(engine.parse(f"train-tokenizer lines --kind {kind} --vocab-size 400 --name mine --chat --against enc")).data["job"]
    finish(engine, job)
    data = engine.result(job).data
    ours, theirs = data["figures"]
    assert (ours["tokenizer"], theirs["tokenizer"]) == ("mine", "enc")
    assert ours["tokens_a_word"] < theirs["tokens_a_word"], "words that it has learnt are not spelt out"
    assert ours["texts"] == 36, "every tenth row was kept aside"
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(data["folder"])
    text = "heron waits größer" if kind != "wordpiece" else "heron waits"
    beside = engine.run(engine.parse(f"tokens --model enc --with mine {text}"))
    assert beside.table.columns == ["at", "enc id", "piece", "mine id", "piece"]
    assert [token["id"] for token in beside.data["tokenizers"][1]["tokens"]] == loaded(text, add_special_tokens=False)["input_ids"]
    assert loaded.decode(loaded(text, add_special_tokens=False)["input_ids"]).strip() == text
    chat = loaded.apply_chat_template([{"role": "user", "content": "heron"}], tokenize=False, add_generation_prompt=True)
    assert chat == "<|im_start|>user\nheron<|im_end|>\n<|im_start|>assistant\n"
    assert loaded.eos_token == "<|im_end|>"
    finish(engine, engine.run(engine.parse("stats lines --tokens mine")).data["job"])
    column = next(item for item in engine.run(engine.parse("stats lines --tokens mine")).data["columns"] if item["name"] == "text")
    assert column["tokens"]["rows"] == 400


def test_bytes_of_a_character_that_is_split(with_enc: Engine, tmp_path: Path) -> None:
    lines(with_enc, tmp_path, 50)
    finish(with_enc, with_enc.run(with_enc.parse("train-tokenizer lines --vocab-size 300 --name bytes")).data["job"])
    tokens = with_enc.run(with_enc.parse("tokens --model bytes 鷺 x")).data["tokenizers"][0]["tokens"]
    assert " ".join(token["bytes"] for token in tokens) == "e9 b7 ba 20 78"
    assert "".join(token["text"] for token in tokens) == "鷺 x"


@pytest.mark.slow
def test_the_vocabulary_inside_a_gguf(with_starter: Path) -> None:
    from engine.engine import Engine

    engine = Engine(with_starter, everything=True)
    try:
        found = engine.run(engine.parse("tokens --model smollm2 Herons  wait.<|im_end|>")).data["tokenizers"][0]
        assert "".join(token["text"] for token in found["tokens"]) == "Herons  wait.<|im_end|>"
        assert [token["piece"] for token in found["tokens"] if token["special"]] == ["<|im_end|>"]
        assert found["vocabulary"] == 49152
    finally:
        engine.close(5)


def test_what_is_wrong_is_said(with_enc: Engine, tmp_path: Path) -> None:
    engine = with_enc
    lines(engine, tmp_path, 20)
    with pytest.raises(DataError, match="no column of text"):
        engine.run(engine.parse("train-tokenizer lines --column label"))
    with pytest.raises(ModelError, match="encoder called “enc” already"):
        engine.run(engine.parse("train-tokenizer lines --name enc"))
    (tmp_path / "latin.txt").write_bytes(b"gr\xf6\xdfer")
    with pytest.raises(DataError, match="not UTF-8: byte 2"):
        engine.run(engine.parse(f"tokens --model enc --file {tmp_path / 'latin.txt'}"))
    with pytest.raises(BitternError, match="200,001 characters"):
        engine.run(engine.parse("tokens --model enc " + "a" * 200_001))
