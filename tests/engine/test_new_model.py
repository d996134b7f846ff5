"""A model from nothing: a tokenizer of one's own, random weights, training, and then it talks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.errors import BitternError, ModelError
from engine.models.fresh import SIZES, Layout
from tests.engine.test_families import run
from tests.fakes.follow import done
from tests.fakes.tiny import chat_model, instruction_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
SMALL = "--layers 2 --width 64 --context 128"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with instructions and labelled texts, and the tokenizers ``words`` (BPE, chat) and ``pieces`` (WordPiece)."""
    root = tmp_path_factory.mktemp("new")
    os.environ["BITTERN_RUNNER"] = "thread"
    opened = Engine(root / "home", everything=True)
    try:
        (root / "lines.jsonl").write_text(instruction_rows(60))
        birds = [{"text": f"a {word} at number {n} by the water", "label": word} for n in range(20) for word in ("heron", "reed")]
        (root / "birds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in birds))
        for name in ("lines", "birds"):
            done(opened, f"add {root / name}.jsonl --name {name}")
        done(opened, "train-tokenizer lines --vocab-size 320 --chat --name words")
        done(opened, "train-tokenizer birds --kind wordpiece --vocab-size 300 --name pieces")
        yield opened
    finally:
        opened.close(5)
        del os.environ["BITTERN_RUNNER"]


def test_a_new_model_learns_with_every_weight_and_then_talks_with_its_own_vocabulary(house: Engine) -> None:
    made = done(house, f"new mine --tokenizer words {SMALL} --seed 3")
    assert made["kind"] == "chat" and made["facts"]["untrained"] and made["facts"]["context"] == 128
    assert (
        run(house, "tokens --model mine heron reed")["tokenizers"][0]["tokens"]
        == run(house, "tokens --model words heron reed")["tokenizers"][0]["tokens"]
    )
    again = done(house, f"new twin --tokenizer words {SMALL} --seed 3")
    weights = [(Path(record["folder"]) / "model.safetensors").read_bytes() for record in (made, again)]
    assert weights[0] == weights[1], "the seed decides the weights"
    trained = done(house, "train mine --on lines --epochs 8 --max-length 96 --name taught")
    assert trained["kind"] == "chat", "all weights were trained, not an adapter of random ones"
    assert trained["eval_loss_after"] < 0.7 * trained["eval_loss_before"]
    record = house.workspace.models.get("taught")
    assert (record.base, record.beneath, record.facts["method"]) == ("mine", "", "full")
    answer = run(house, 'chat --model taught --temperature 0 --max-tokens 8 --session new "Say the word heron 1 times (9)"')
    assert answer["answer"].strip().split()[0] in ("heron", "reed", "pond")


def test_a_model_that_was_trained_whole_is_no_adapter_of_what_it_came_from(house: Engine) -> None:
    if house.workspace.models.find("taught") is None:
        done(house, f"new mine --tokenizer words {SMALL}")
        done(house, "train mine --on lines --max-steps 2 --name taught")
    loaded = done(house, "load taught --quantise Q8_0")
    assert (loaded["base"], loaded["engine"]) == ("taught", "llamacpp")
    assert house.workspace.models.get("taught").gguf.endswith("taught-Q8_0.gguf") and not house.workspace.models.get("mine").gguf
    with house.models.use("taught") as backend:
        assert backend.facts.context == 128, "what the file says, not what the settings would allow"
    assert run(house, "unload taught")["freed"] in (["taught"], ["taught"] * 2), "its torch weights go, too, where they are loaded"


def test_a_new_bert_becomes_a_classifier(house: Engine) -> None:
    assert done(house, f"new sorter --tokenizer pieces --like bert {SMALL}")["kind"] == "encoder"
    trained = done(house, "train sorter --on birds --max-steps 40 --batch-size 8 --learning-rate 0.003 --name sorted")
    assert trained["kind"] == "classifier" and trained["eval_loss_after"] < trained["eval_loss_before"]


def test_a_new_t5_writes_one_text_from_another(house: Engine) -> None:
    assert done(house, f"new scribe --tokenizer words --like t5 {SMALL}")["kind"] == "seq2seq"
    trained = done(house, "train scribe --on lines --max-steps 60 --batch-size 8 --learning-rate 0.005 --name written")
    assert trained["kind"] == "seq2seq" and trained["eval_loss_after"] < 0.7 * trained["eval_loss_before"]
    said = run(house, 'chat --model written --temperature 0 --max-tokens 8 --session scribe "Say the word heron 1 times (9)"')["answer"]
    assert said.strip().split()[0] in ("heron", "reed", "pond")


@pytest.mark.parametrize("family", ["gpt2", "bloom", "falcon", "t5"])
def test_the_size_is_counted_before_it_is_made(house: Engine, family: str) -> None:
    made = done(house, f"new {family} --tokenizer words --like {family} {SMALL}")
    words = house.workspace.models.get("words").facts["vocabulary"]
    counted = Layout(family, 2, 64, 128).parameters(words)  # type: ignore[arg-type]
    assert made["facts"]["parameters"] == f"{counted / 1e6:.1f}M"
    assert run(house, f"fit {family}")["parameters"] == counted


def test_a_model_that_is_here_gets_another_vocabulary(house: Engine, tmp_path: Path) -> None:
    """Shared tokens keep their vectors, new ones are the mean of their old pieces; trained, every weight of it, it talks."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done(house, f"pull {chat_model(tmp_path / 'tiny')} --name tiny")
    made = done(house, "new other --tokenizer words --base tiny")
    assert (made["kind"], made["base"], made["facts"]["context"]) == ("chat", "tiny", 512) and "untrained" not in made["facts"]
    models = [AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for folder in (tmp_path / "tiny", made["folder"])]
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (tmp_path / "tiny", made["folder"]))
    was, now = (model.get_input_embeddings().weight for model in models)
    assert models[1].get_output_embeddings().weight is now, "they were one, and are one"
    assert len(now) == made["facts"]["vocabulary"] == len(new) and models[1].config.eos_token_id == new.eos_token_id
    vocabulary, known = new.get_vocab(), old.get_vocab()
    for piece in ("h", "\u0120", "<|im_end|>"):
        assert torch.equal(now[vocabulary[piece]], was[known[piece]]), piece
    piece = next(piece for piece in vocabulary if piece.startswith("\u0120") and len(piece) > 4)
    assert torch.allclose(now[vocabulary[piece]], was[[known[letter] for letter in piece]].mean(0)), "here a letter is a token"
    assert made["facts"]["tokens_kept"] == sum(piece in known for piece in vocabulary) + ("<|pad|>" not in known)
    layers = [dict(model.model.layers.named_parameters()) for model in models]
    assert all(torch.equal(layers[0][name], layers[1][name]) for name in layers[0])
    trained = done(house, "train other --on lines --max-steps 12 --max-length 96 --name adapted")
    assert trained["kind"] == "chat" and trained["eval_loss_after"] < trained["eval_loss_before"]
    for line, says in (
        ("new x --tokenizer words --base tiny --size small", "--size is for random weights"),
        ("new x --tokenizer pieces --base tiny", "no stop token"),
        ("new x --tokenizer words --base words", "of the kind tokenizer"),
    ):
        with pytest.raises(BitternError, match=says) as caught:
            run(house, line)
        assert caught.value.hint


def test_sizes_are_what_they_are_said_to_be() -> None:
    bare = [Layout("llama", *SIZES[size]).parameters(0) / 1e6 for size in SIZES]
    assert [round(count, 1) for count in bare] == [0.8, 6.4, 38.0]


def test_what_can_not_be_made_is_said_before_it_is_queued(house: Engine) -> None:
    jobs = len(house.jobs())
    with pytest.raises(ModelError, match="no stop token"):
        run(house, "new x --tokenizer pieces")
    with pytest.raises(ModelError, match="stands before a text"):
        run(house, "new x --tokenizer words --like bert")
    with pytest.raises(ModelError, match="tokenizer called “words” already"):
        run(house, "new words --tokenizer words")
    with pytest.raises(ModelError, match=r"would take .* are free"):
        run(house, "new x --tokenizer words --layers 200 --width 16384")
    with pytest.raises(BitternError, match="multiple of 64"):
        run(house, "new x --tokenizer words --width 100")
    for line in ("train words --on lines", "evaluate words --on lines", "fit words"):
        with pytest.raises(ModelError, match="“words” is a tokenizer"):
            run(house, line)
    assert len(house.jobs()) == jobs
