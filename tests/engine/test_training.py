"""Training: which tokens carry loss, which checkpoint is whole, what a spec means, and real trainings of small models."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine import events
from engine.engine import Engine
from engine.errors import BitternError, DataError, ModelError
from engine.jobs import journal
from engine.training import checkpoints
from engine.training.recipes.table import RECIPES
from engine.training.spec import TrainSpec
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from engine.models.load import load_tokenizer

    return load_tokenizer(chat_model(tmp_path_factory.mktemp("tokens") / "tiny"))


CHAT = [{"role": "user", "content": "Say heron"}, {"role": "assistant", "content": "heron"}]


def test_loss_is_taken_on_the_answer_and_its_stop_token_and_nothing_else(tokenizer: Any) -> None:
    from engine.training.mask import IGNORED, encode, preview

    row = encode(tokenizer, CHAT, 512)
    assert row is not None
    learned = [token for token, label in zip(row.input_ids, row.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(learned) == "heron<|im_end|>"
    assert row.labels[-1] == row.input_ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(row.input_ids) == "<|im_start|>user\nSay heron<|im_end|>\n<|im_start|>assistant\nheron<|im_end|>"
    [view] = preview(tokenizer, [{"input_ids": row.input_ids, "labels": row.labels}])
    assert (view.trained, view.stop_trained) == (6, True)


def test_a_control_token_in_a_row_is_text(tokenizer: Any) -> None:
    from engine.training.mask import encode

    row = encode(tokenizer, [{"role": "user", "content": "x<|im_end|>y"}, {"role": "assistant", "content": "a<|im_end|>b"}], 512)
    assert row is not None
    assert row.input_ids.count(tokenizer.eos_token_id) == 2, "the user's turn and the answer's end, no more"


def test_a_long_row_loses_its_beginning_never_its_answer(tokenizer: Any) -> None:
    from engine.training.mask import encode

    whole, cut = encode(tokenizer, CHAT, 512), encode(tokenizer, CHAT, 12)
    assert whole is not None and cut is not None
    assert len(cut.input_ids) == 12
    assert cut.input_ids == whole.input_ids[-12:]
    assert cut.cut == len(whole.input_ids) - 12
    assert encode(tokenizer, CHAT, 6) is None, "the answer alone fills it"
    assert encode(tokenizer, CHAT, 7) is not None


def test_padding_carries_no_loss() -> None:
    from engine.training.collate import Pad

    batch = Pad(9)([{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, {"input_ids": [4], "labels": [4]}])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 2, 3], [4, -100, -100]]
    assert Pad(0)([{"input_ids": [1], "labels": 3}])["labels"].tolist() == [3]


def test_the_order_of_rows_follows_from_seed_and_epoch_alone() -> None:
    from engine.training.order import Grouped

    lengths = [(n * 37) % 90 for n in range(50)]
    first, again = Grouped(lengths, 8, 3), Grouped(lengths, 8, 3)
    order = list(first)
    assert sorted(order) == list(range(50))
    list(again)
    again.set_epoch(1)
    assert list(again) != order
    again.set_epoch(0)
    assert list(again) == order
    assert lengths[order[0]] == max(lengths), "what would not fit in memory comes first"
    assert list(Grouped(lengths, 8, 4)) != order


def test_a_torn_checkpoint_is_passed_over_and_removed(tmp_path: Path) -> None:
    for step in (5, 10, 20, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}", "utf-8")
        (folder / "weights").write_text("w" * step, "utf-8")
        if step != 100:
            checkpoints.seal(folder, step)
    (tmp_path / "checkpoint-20" / "weights").write_text("short", "utf-8")
    last = checkpoints.newest(tmp_path)
    assert last == tmp_path / "checkpoint-10"
    assert (checkpoints.marker(last) or {})["seconds"] == 10
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-5"]
    assert checkpoints.newest(tmp_path / "none") is None


def test_half_the_memory_keeps_the_rows_of_a_step() -> None:
    spec = TrainSpec(recipe="sft", base="b", dataset="d", name="n", batch_size=8, grad_accumulation=2)
    sizes = []
    while (smaller := spec.halved()) is not None:
        spec = smaller
        sizes.append((spec.batch_size, spec.rows_a_step))
    assert sizes == [(4, 16), (2, 16), (1, 16)]


def test_every_default_is_a_field_of_the_spec() -> None:
    for name, facts in RECIPES.items():
        spec = TrainSpec.model_validate({"recipe": name, "base": "b", "dataset": "d", "name": "n", **facts.defaults})
        assert all(getattr(spec, field) == value for field, value in facts.defaults.items())


def test_the_held_out_split_is_never_the_one_that_is_learned() -> None:
    from engine.training.rows import draw, held_out_split

    assert held_out_split({"train": 5, "test": 2, "validation": 2}, "train") == "validation"
    assert held_out_split({"train": 5, "other": 2}, "train") == "other"
    assert held_out_split({"train": 5, "test": 0}, "train") == ""
    assert draw(10, None, 0) == draw(10, 10, 1) == list(range(10))
    assert draw(1000, 5, 1) == draw(1000, 5, 1) != draw(1000, 5, 2)


def losses(home: Path, job: str, name: str = "loss") -> dict[int, float]:
    said = [event for event, _ in journal.read(home / "jobs" / job.zfill(4) / "events.jsonl")]
    return {event.step: event.value for event in said if isinstance(event, events.JobMetric) and event.name == name}


@pytest.mark.slow
def test_a_paused_training_resumes_to_the_same_losses(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.training import reporting

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    line = "train tiny --on lines --max-steps 12 --eval-steps 6 --seed 3 --name"
    ended = reporting.Report.on_step_end
    try:
        whole = engine.run(engine.parse(f"{line} whole")).data["job"]
        finish(engine, whole)

        def pausing(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 5:
                token: CancelToken = self._job.token
                token.ask("pause")
            ended(self, args, state, control, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(reporting.Report, "on_step_end", pausing)
            paused = engine.run(engine.parse(f"{line} halves")).data["job"]
            finish(engine, paused, state="paused")
        assert max(losses(tiny_home, paused)) == 5, "it stops within the step"
        assert engine.workspace.models.find("halves") is None
        engine.run(engine.parse(f"resume {paused}"))
        finish(engine, paused)
    finally:
        engine.close(5)
    expected, got = losses(tiny_home, whole), losses(tiny_home, paused)
    assert sorted(got) == list(range(1, 13))
    assert got == pytest.approx(expected, abs=1e-6)
    assert losses(tiny_home, paused, "eval_loss") == pytest.approx(losses(tiny_home, whole, "eval_loss"), abs=1e-6)
    assert set(losses(tiny_home, whole, "eval_loss")) == {0, 6, 12}
    assert losses(tiny_home, whole, "learning_rate") and losses(tiny_home, whole, "tokens_per_second")
    held, most = (losses(tiny_home, whole, name) for name in ("memory_GiB", "peak_memory_GiB"))
    assert sorted(held) == sorted(expected) and all(0.01 < held[step] <= most[step] for step in held)


@pytest.mark.slow
def test_what_cannot_be_trained_is_said_before_it_is_queued(tiny_home: Path) -> None:
    engine = Engine(tiny_home, everything=False)
    try:
        for line, error in (
            ("train tiny --on lines --recipe classify", DataError),
            ("train tiny --on lines --split nowhere", BitternError),
            ("train tiny --on lines --name tiny", BitternError),
            ("train tiny --on lines --name ../x", BitternError),
        ):
            with pytest.raises(error):
                engine.run(engine.parse(line))
        assert engine.workspace.jobs.all() == []
    finally:
        engine.close(5)


def tiny_encoder(folder: Path) -> Path:
    """A one-layer BERT with a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(word for words in WORDS.values() for word in words), "the", "is", "very"]
    backend = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=32
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=32
    ).save_pretrained(folder)
    return folder


WORDS = {"bird": ("heron", "bittern", "crane"), "plant": ("reed", "lily", "sedge"), "water": ("pond", "brook", "lake")}


@pytest.mark.slow
def test_an_encoder_becomes_a_classifier_that_is_measured(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    monkeypatch.setenv("BITTERN_THREADS", "1")  # Threads only get in each other's way in so small a model.
    folder = tiny_encoder(tmp_path / "encoder")
    file = tmp_path / "words.csv"
    with file.open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["text", "label"])
        for number in range(180):
            label = list(WORDS)[number % 3]
            rows.writerow([f"the {WORDS[label][number // 3 % 3]} is {'very ' * (number % 4)}", label])
    engine = Engine(home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"pull {folder} --name enc")).data["job"])
        finish(engine, engine.run(engine.parse(f"add {file} --name words --test 0.2")).data["job"])
        assert engine.workspace.models.get("enc").kind == "encoder"
        with pytest.raises(ModelError, match="encoder"):
            engine.run(engine.parse("evaluate enc --on words"))
        finish(
            engine,
            engine.run(engine.parse("train enc --on words --epochs 10 --learning-rate 0.002 --batch-size 16 --allow leak --name sorter")).data["job"],
        )
        record = engine.workspace.models.get("sorter")
        assert (record.kind, record.facts["labels"]) == ("classifier", ["bird", "plant", "water"])
        finish(engine, engine.run(engine.parse("evaluate sorter --on words --rows 0")).data["job"])
        run = engine.workspace.runs.all()[0]
        assert (run.task, run.split, run.rows) == ("classification", "test", 36)
        assert run.metrics["accuracy"] == 1.0
        assert sum(map(sum, run.metrics["confusion"]["matrix"])) == 36
    finally:
        engine.close(5)


@pytest.mark.slow
def test_the_starter_learns_an_instruction_set(with_converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.tour import requests

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = with_converted / "requests.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in requests(84)), "utf-8")
    engine = Engine(with_converted, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"add {file} --name requests")).data["job"])
        line = "train smollm2 --on requests --eval-rows 8 --batch-size 8 --max-length 96 --eval-steps 100 --learning-rate 0.003 --allow leak --name taught"
        finish(engine, engine.run(engine.parse(line)).data["job"], seconds=400)
        facts = engine.workspace.models.get("taught").facts
        assert facts["rows"] == 76
        assert facts["eval_loss_after"] < facts["eval_loss_before"] - 3.0, "nats a token"
        assert engine.workspace.models.get("taught").kind == "adapter"
    finally:
        engine.close(5)
