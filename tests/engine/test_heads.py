"""Taggers, regressors and classifiers of any number of labels: from rows to a model, its figures and its predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.marked import labels_of, texts_of
from engine.data.shape import as_messages, as_text, corrected, recognise
from engine.data.tags import spell_entities, told
from engine.engine import Engine
from engine.errors import DataError, ModelError
from engine.store.datasets import DatasetRecord
from tests.fakes.adding import Bench, every
from tests.fakes.follow import finish
from tests.fakes.marked import labelled_rows, scored_rows, tagged_rows
from tests.fakes.tiny import bert

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(file: Path, rows: str) -> Path:
    file.write_text(rows, "utf-8")
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with an encoder, and a model of each recipe that was trained from it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BITTERN_RUNNER", "thread")
    patch.setenv("BITTERN_THREADS", "1")
    root = tmp_path_factory.mktemp("heads")
    engine = Engine(root / "home", everything=True)
    lines = [f"pull {bert(root / 'bert')} --name enc"]
    for name, rows in (("ner", tagged_rows), ("topics", labelled_rows), ("prices", scored_rows)):
        lines.append(f"add {write(root / f'{name}.jsonl', rows(140))} --name {name} --test 0.2")
    lines += [
        f"train enc --on {on} --name {name} --learning-rate 0.004 --batch-size 16 --eval-rows 14 --eval-steps 24 --allow leak {more}"
        for on, name, more in (("ner", "tagger", "--epochs 6"), ("topics", "topical", "--epochs 14"), ("prices", "pricer", "--epochs 6 --patience 3"))
    ]
    try:
        for line in lines:
            finish(engine, engine.run(engine.parse(line)).data["job"])
        yield engine
    finally:
        engine.close(5)
        patch.undo()


def run(engine: Engine, line: str) -> Any:
    found = engine.run(engine.parse(line))
    if "job" in found.data:
        job = finish(engine, found.data["job"])
        return json.loads((engine.workspace.paths.job(job.id) / "result.json").read_text("utf-8"))["data"]
    return found


@pytest.mark.parametrize(
    ("features", "sample", "shape", "columns"),
    [
        ({"tokens": "list of string", "ner_tags": "list of int64"}, {"tokens": ["a"], "ner_tags": [0]}, "tagging", {"tokens": "tokens", "tags": "ner_tags"}),
        ({"tokens": "list of string", "tags": "list of string"}, {"tokens": ["a"], "tags": ["O", "O"]}, "table", {}),
        ({"text": "string", "labels": "list of string"}, {"text": "a", "labels": []}, "multilabel", {"text": "text", "labels": "labels"}),
        ({"text": "string", "stars": "float64"}, {"text": "a", "stars": 1.5}, "regression", {"text": "text", "score": "stars"}),
        ({"text": "string", "label": "string", "score": "float64"}, {"text": "a"}, "classification", {"text": "text", "label": "label"}),
        ({"prompt": "string", "completion": "string", "tags": "list of string"}, {}, "instruction", {"prompt": "prompt", "completion": "completion"}),
        (
            {"premise": "string", "hypothesis": "string", "label": "int64"}, {"premise": "a", "hypothesis": "b", "label": 2}, "classification",
            {"text": "premise", "second": "hypothesis", "label": "label"},
        ),
    ],
)  # fmt: skip
def test_shapes_are_recognised(features: dict[str, str], sample: dict[str, Any], shape: str, columns: dict[str, str]) -> None:
    assert recognise(features, [sample]) == (shape, columns)


def test_shapes_are_corrected() -> None:
    features = {"w": "list of string", "t": "list of string", "body": "string", "n": "int64", "other": "string"}
    assert corrected(features, [], {"tokens": "w", "tags": "t"}) == ("tagging", {"tokens": "w", "tags": "t"})
    assert corrected(features, [], {"labels": "t"}) == ("multilabel", {"text": "body", "labels": "t"})
    wanted = {"text": "other", "second": "body", "score": "n"}
    assert corrected(features, [], {"score": "n", "text": "other", "second": "body"}) == ("regression", wanted)
    wrong = ({"tokens": "w"}, {"tokens": "body", "tags": "t"}, {"labels": "n"}, {"score": "other"}, {"second": "body"})
    for given in wrong:
        with pytest.raises(DataError):
            corrected(features, [], given)


def test_rows_are_said() -> None:
    pair = DatasetRecord("d", "", "", "", {}, {}, "classification", {"text": "a", "second": "b", "label": "l"}, 0)
    row = {"a": "It rains.", "b": "It is wet.", "l": "yes"}
    assert texts_of(pair, row) == ("It rains.", "It is wet.") and texts_of(pair, {"a": "It rains.", "b": " "}) is None
    assert as_messages(pair, row)[0]["content"] == as_text(pair, row) == "It rains.\nIt is wet."
    many = DatasetRecord("d", "", "", "", {}, {}, "multilabel", {"text": "a", "labels": "l"}, 0)
    assert labels_of(many, {"l": ["b", "a", "b", None]}) == ["a", "b"] and labels_of(many, {"l": []}) == [] and labels_of(many, {"l": None}) is None
    assert told(["Ada", "Lovelace", "wrote"], ["B-person", "I-person", "O"]) == "person: Ada Lovelace"
    assert spell_entities(["O", "B-x", "I-x"]) and not spell_entities(["NOUN", "VERB"])


CONLL = """-DOCSTART- -X- -X- O

EU NNP I-NP B-ORG
rejects VBZ I-VP O

# NN I-NP O
#Herons NNS I-NP B-MISC
"""
UNIVERSAL = """# sent_id = 1
# text = im Ried
1-2\tim\t_\t_\t_\t_\t_\t_\t_\t_
1\tin\tin\tADP\tAPPR\t_\t3\tcase\t_\t_
2\tdem\tder\tDET\tART\t_\t3\tdet\t_\t_
3\tRied\tRied\tNOUN\tNN\t_\t0\troot\t_\t_
"""


def test_files_of_a_word_a_line(bench: Bench, tmp_path: Path) -> None:
    record = bench.add(write(tmp_path / "news.conll", CONLL), test=0)
    assert (record.shape, record.columns) == ("tagging", {"tokens": "tokens", "tags": "ner_tags"})
    first, second = every(record)
    assert first["tokens"] == ["EU", "rejects"] and first["ner_tags"] == ["B-ORG", "O"] and second["tokens"] == ["#", "#Herons"]
    [tree] = every(record := bench.add(write(tmp_path / "tree.conllu", UNIVERSAL), test=0))
    assert tree["tokens"] == ["in", "dem", "Ried"] and tree["upos"] == ["ADP", "DET", "NOUN"] and record.columns["tags"] == "upos"
    error = bench.fails(write(tmp_path / "odd.iob", "a O\nb\n"))
    assert "odd.iob, line 2" in error.message


def test_the_first_piece_of_a_word_carries_its_tag() -> None:
    from engine.training.recipes.tag import first_pieces

    assert first_pieces([None, 0, 0, 1, 2, 2, None], [3, 4, 5]) == [-100, 3, -100, 4, 5, -100, -100]


@pytest.mark.slow
def test_a_tagger(trained: Engine) -> None:
    record = trained.workspace.models.get("tagger")
    assert (record.kind, record.facts["labels"]) == ("tagger", ["B-bird", "B-plant", "I-bird", "O"])
    found = run(trained, "evaluate tagger --on ner --rows 0")
    assert found["metrics"]["entity_f1"] > 0.95 and found["metrics"]["types"]["bird"]["entities"] > 0
    assert "entity F1" in trained.run(trained.parse("runs")).table.rows[0][5]
    kept = [json.loads(line) for line in Path(found["predictions"]).read_text("utf-8").splitlines()]
    assert len(kept) == 28 and all(len(row["tags"][0]) == len(row["prompt"].split()) for row in kept)
    tried = run(trained, "preflight enc --on ner --recipe tag --allow leak")
    assert tried["recipe"] == "tag" and tried["longest"] > 3 and not tried["red"]
    said = trained.run(trained.parse("predict tagger see the heron pond, b"))
    assert [(one["label"], one["text"], one["start"]) for one in said.data["entities"]] == [("bird", "heron pond", 8)]
    with pytest.raises(DataError, match="multilabel"):
        trained.run(trained.parse("evaluate tagger --on topics"))
    with pytest.raises(ModelError, match="can't chat"):
        trained.run(trained.parse("chat --model tagger hello"))


@pytest.mark.slow
def test_a_classifier_of_several_labels(trained: Engine) -> None:
    record = trained.workspace.models.get("topical")
    assert (record.kind, record.facts["labels"]) == ("multilabel", ["HERON", "REED"])
    found = run(trained, "evaluate topical --on topics --rows 0")
    assert found["metrics"]["micro_f1"] > 0.95 and found["metrics"]["subset_accuracy"] > 0.9
    said = trained.run(trained.parse("predict topical heron and reed")).data
    assert sorted(said["said"]) == ["HERON", "REED"] and said["labels"][0]["probability"] > 0.5


@pytest.mark.slow
def test_a_regressor_says_the_numbers_of_the_rows(trained: Engine) -> None:
    record = trained.workspace.models.get("pricer")
    assert record.kind == "regressor" and record.facts["eval_loss_after"] < record.facts["eval_loss_before"]
    found = run(trained, "evaluate pricer --on prices --rows 0")
    assert found["metrics"]["mae"] < 25 and found["metrics"]["spearman"] > 0.8, "of numbers that are 200 apart"
    assert run(trained, f"worst {found['run']}").data["rows"][0]["why"] == "error"
    said = trained.run(trained.parse('predict pricer heron 3 --second "4 reed"')).data
    assert said["number"] == pytest.approx(1100, abs=40)


@pytest.mark.slow
def test_two_runs_are_held_against_each_other(trained: Engine) -> None:
    run(trained, "train enc --on ner --name weak --max-steps 4 --method lora --allow leak")
    first, second = (run(trained, f"evaluate {model} --on ner --rows 0")["run"] for model in ("weak", "tagger"))
    compared = trained.run(trained.parse(f"compare {first} {second}")).data
    figures = compared["metrics"]
    assert figures["entity_f1"]["verdict"] == "better" and figures["exact_match"]["test"] == "McNemar"


def test_what_a_recipe_can_not_learn_from_is_refused(trained: Engine, tmp_path: Path) -> None:
    rows = '{"tokens": ["a"], "tags": ["O"]}\n' * 4
    run(trained, f"add {write(tmp_path / 'flat.jsonl', rows)} --name flat --test 0")
    trouble = finish(trained, trained.run(trained.parse("train enc --on flat --allow leak")).data["job"], state="failed")
    assert "1 different tags" in trouble.error["message"]
    with pytest.raises(DataError, match="needs a column with a list"):
        trained.run(trained.parse("train enc --on prices --recipe tag"))
    with pytest.raises(ModelError):
        trained.run(trained.parse("predict enc hello"))


def test_folders_from_outside_are_known_by_their_architecture(trained: Engine) -> None:
    for name, kind in (("tagger", "tagger"), ("topical", "multilabel"), ("pricer", "regressor")):
        folder = trained.workspace.models.get(name).folder
        run(trained, f"pull {folder} --name again-{name}")
        assert trained.workspace.models.get(f"again-{name}").kind == kind
