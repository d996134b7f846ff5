"""Models written as files for elsewhere, and the round trip that reads them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError, DiskFull
from engine.evaluation.greedy import Written
from engine.evaluation.roundtrip import compare, figures, summary
from engine.store.models import ModelRecord
from tests.fakes.follow import done, finish
from tests.fakes.tiny import base_model, bert, chat_model, instruction_rows, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAIN = "train tiny --on lines --max-steps 6 --eval-steps 6 --eval-rows 8 --rows 24 --allow leak,stop --learning-rate 0.02 --name tuned"


class Letters:
    """A tokenizer whose tokens are letters."""

    def decode(self, tokens: list[int], **values: Any) -> str:
        return "".join(map(chr, tokens))


def written(text: str, *, nats: float = -1.0, ended: bool = True, prompt: str = "p") -> Written:
    return Written([ord(letter) for letter in prompt], [ord(letter) for letter in text], [nats] * len(text), ended)


def test_two_answers_are_compared_token_by_token() -> None:
    same = compare("p", written("heron"), written("heron", nats=-1.25), Letters())
    assert (same.same, same.first, same.shared, same.worst, same.mean) == (True, None, 1.0, 0.25, 0.25)
    other = compare("p", written("heron"), written("hero!n"), Letters())
    assert (other.same, other.first, other.shared) == (False, 4, 4 / 6)
    longer = compare("p", written("heron"), written("herons"), Letters())
    assert longer.first == 5 and longer.source == "heron" and longer.export == "herons"
    assert compare("p", written("heron"), written("heron", ended=False), Letters()).first == 5, "the end is a token too"
    nothing = compare("p", written(""), written("", prompt="q"), Letters())
    assert nothing.same and nothing.worst is None and not nothing.cut_alike
    assert summary([same] * 31 + [other]) == "31 of 32 the same; one differs from token 5 on"
    assert summary([same, other, longer]) == "1 of 3 the same; 2 differ, the first from token 5 on"
    assert summary([nothing]) == "1 of 1 the same; 1 read as other tokens"
    table = figures([same, other])
    assert (table["prompts"], table["same"], table["first_difference"], table["logprob_max"], round(table["identical"], 5)) == (
        2,
        1,
        4,
        0.25,
        0.83333,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A workspace with ``tuned``, an adapter on a model that does not say the same thing over and over; and ``judge``, a classifier."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BITTERN_RUNNER", "thread")
    root = tmp_path_factory.mktemp("export")
    (root / "lines.jsonl").write_text(instruction_rows(80), "utf-8")
    engine = Engine(root / "home", everything=True)
    try:
        for line in (f"pull {talkative(chat_model(root / 'tiny'))} --name tiny", f"add {root / 'lines.jsonl'} --name lines", TRAIN):
            done(engine, line)
        yield engine
    finally:
        engine.close(5)
        patch.undo()


def test_exports_say_what_the_model_says(trained: Engine, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for form, gap in (("adapter", 0.0), ("merged", 1e-4), ("gguf", 0.02)):
        more = " --quantisation F32" if form == "gguf" else ""
        told = done(trained, f"export-model tuned {tmp_path / form} --as {form} --rows 8 --tokens 12{more}")
        trip = told["round_trip"]
        assert trip["prompts"] == trip["same"] == trip["tokenised_alike"] == 8 and trip["logprob_max"] <= gap, (form, trip)
        assert len({row["source"] for row in trip["rows"]}) > 1 and trip["rows"][0]["prompt"].startswith("Say the word"), "held-out rows"
        card = (tmp_path / form / "README.md").read_text("utf-8")
        assert "8 of 8 the same" in card and "| Held-out loss after |" in card and str(trained.workspace.paths.root) not in card
        assert json.loads((tmp_path / form / "bittern-export.json").read_text("utf-8"))["round_trip"]["same"] == 8
    assert {file.name for file in (tmp_path / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"}
    assert [file.name for file in (tmp_path / "gguf").glob("*.gguf")] == ["tuned-F32.gguf"]
    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    half = done(trained, f"export-model tuned {tmp_path / 'half'} --as merged --dtype bfloat16 --ask 'heron?|reed?' --tokens 4")
    assert half["round_trip"]["prompts"] == 2 and half["bytes"] < 0.7 * sum(file.stat().st_size for file in (tmp_path / "merged").iterdir())
    for line, words in (
        (f"export-model tuned {tmp_path / 'merged'}", "an export already"), (f"export-model tuned {tmp_path}", "no export of Bittern"),
        (f"export-model tuned {trained.workspace.paths.root / 'x'}", "inside the workspace"), (f"export-model tuned {tmp_path / 'no' / 'x'}", "no folder"),
        (f"export-model tiny {tmp_path / 'x'} --as adapter", "no adapter"), (f"export-model tuned {tmp_path / 'x'} --prompts lines/no", "no split"),
    ):  # fmt: skip
        with pytest.raises(BitternError, match=words):
            trained.run(trained.parse(line))


def test_a_damaged_export_is_told(trained: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    from engine.models import export

    def damaged(*args: Any, **values: Any) -> Path:
        file = write(*args, **values) / "model.safetensors"
        weights = load_file(file)
        weights["model.layers.1.mlp.down_proj.weight"] *= -1
        save_file(weights, file, {"format": "pt"})
        return file.parent

    write = export.write
    monkeypatch.setattr(export, "write", damaged)
    job = trained.run(trained.parse(f"export-model tuned {tmp_path / 'out'} --as merged --rows 4 --tokens 12")).data["job"]
    finish(trained, job)
    found = trained.result(job)
    assert found.data["round_trip"]["same"] < 4 and "differ" in found.summary
    assert found.table is not None and "differs" in [row[2] for row in found.table.rows]


def test_nothing_is_left_of_an_export_that_fails(trained: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.models import export

    def full(job: Any, record: Any, form: Any, folder: Path, **values: Any) -> Path:
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(folder))

    def cancelled(job: Any, *args: Any, **values: Any) -> Path:
        made = write(job, *args, **values)
        job.token.ask("cancel")
        return made

    write = export.write
    for broken, state in ((full, "failed"), (cancelled, "cancelled")):
        monkeypatch.setattr(export, "write", broken)
        finish(trained, trained.run(trained.parse(f"export-model tuned {tmp_path / 'out'}")).data["job"], state=state)
        assert not list(tmp_path.iterdir())
    monkeypatch.setattr(export, "SPARE", 10**18)
    with pytest.raises(DiskFull, match="The export takes about"):
        trained.run(trained.parse(f"export-model tuned {tmp_path / 'out'}"))


def test_a_model_with_a_head_is_copied_and_says_the_same(trained: Engine, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = bert(tmp_path / "bert")
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).save_pretrained(folder)
    trained.workspace.models.put(ModelRecord("judge", "classifier", "made", 1, folder=str(folder)))
    told = done(trained, f"export-model judge {tmp_path / 'out'} --prompts lines --rows 5")
    assert told["as"] == "merged" and told["round_trip"]["same"] == 5 and told["round_trip"]["logprob_max"] == 0.0
    with pytest.raises(BitternError, match="can't be written as GGUF"):
        trained.run(trained.parse(f"export-model judge {tmp_path / 'x'} --as gguf"))


def test_a_merged_base_model_keeps_the_template_that_it_was_trained_with(tmp_path: Path) -> None:
    from engine.models.load import load_tokenizer
    from engine.models.merge import into_base
    from tests.engine.test_adapters import lora

    base = base_model(tmp_path / "base", "llama")
    adapter = lora(base, tmp_path / "adapter")
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(adapter)
    into_base(base, [adapter], [1.0], "cat", tmp_path / "whole")
    assert load_tokenizer(tmp_path / "whole").chat_template == tokenizer.chat_template
