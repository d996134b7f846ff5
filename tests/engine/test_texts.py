"""Texts that belong together: recognised, learnt by an encoder and a reranker, and found; and an encoder-decoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.data import pairs, shape
from engine.engine import Engine
from engine.errors import BitternError, DataError, NotFound
from engine.store.datasets import DatasetRecord
from tests.fakes import encoder as small
from tests.fakes.follow import done
from tests.fakes.pairs import COUPLES, echo_rows, encoder_decoder, pair_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = "--learning-rate 0.003 --epochs 6 --batch-size 16 --allow leak --seed 4 --name"
TOLD: dict[str, dict[str, Any]] = {}
"""What the trainings of ``trained`` said."""


def predictions(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A workspace with ``enc``, ``pairs`` and what was trained from them: ``near`` (an encoder) and ``judge`` (a reranker)."""
    root = tmp_path_factory.mktemp("texts")
    (root / "pairs.jsonl").write_text(pair_rows(160), "utf-8")
    small.encoder(root / "enc")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BITTERN_RUNNER", "thread")
        patched.setenv("BITTERN_THREADS", "1")
        engine = Engine(root / "home", everything=True)
        done(engine, f"pull {root / 'enc'} --name enc")
        done(engine, f"add {root / 'pairs.jsonl'} --name pairs --test 0.2")
        told = [{"anchor": f"{a} {n}", "positive": f"{b} {n}", "negative": f"frog {n} frog"} for n in range(16) for a, b in COUPLES]
        (root / "apart.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told), "utf-8")
        done(engine, f"add {root / 'apart.jsonl'} --name apart --test 0.2")
        TOLD["near"] = done(engine, f"train enc --on pairs {LINE} near")
        TOLD["judge"] = done(engine, f"train enc --on apart --recipe rerank {LINE} judge")
        yield engine
        engine.close(5)


def test_pairs_are_told_by_their_columns() -> None:
    text = {"a": "string", "b": "string"}
    found = {
        ("anchor", "positive", "negative"): ("triplet", {"anchor": "anchor", "positive": "positive", "negative": "negative"}),
        ("query", "passage"): ("pair", {"anchor": "query", "positive": "passage"}),
        ("Sentence1", "Sentence2"): ("pair", {"anchor": "Sentence1", "positive": "Sentence2"}),
    }
    for columns, wanted in found.items():
        assert shape.recognise(dict.fromkeys(columns, "string"), []) == wanted
    scored = {"query": "string", "passage": "string", "score": "float64"}
    assert shape.recognise(scored, [])[1]["score"] == "score"
    judged = {"sentence1": "string", "sentence2": "string", "label": "int64"}
    assert shape.recognise(judged, [{"label": 0}, {"label": 2}])[0] != "pair", "a class of two sentences is no pair"
    assert shape.corrected(text, [], {"anchor": "b", "positive": "a"}) == ("pair", {"anchor": "b", "positive": "a"})
    assert shape.corrected({**text, "c": "string"}, [], {"anchor": "b", "positive": "a", "negative": "c"})[0] == "triplet"
    with pytest.raises(DataError, match="anchor"):
        shape.corrected(text, [], {"anchor": "a"})


def test_a_row_is_a_pair_or_nothing() -> None:
    record = DatasetRecord("d", "s", "f", "p", {}, {}, "pair", {"anchor": "q", "positive": "p", "score": "s"}, 0)
    assert pairs.of_row(record, {"q": " a ", "p": "b", "s": 3}) == pairs.Pair("a", "b", "", 3.0)
    for row in ({"q": "a", "p": None, "s": 1}, {"q": "", "p": "b", "s": 1}, {"q": "a", "p": "b", "s": None}):
        assert pairs.of_row(record, row) is None
    assert shape.as_text(record, {"q": "a", "p": "b", "s": 1}) == "a\nb"


def test_no_two_rows_of_a_step_share_a_text_and_labels_come_in_couples() -> None:
    from engine.training.order import Apart, Labelled

    lengths = [3 + n % 9 for n in range(50)]
    keys = [(n, 100 + n % 20) for n in range(50)]
    order = Apart(lengths, 8, 1, keys=keys)
    rows = list(order)
    assert sorted(rows) == list(range(50)) and rows == list(Apart(lengths, 8, 1, keys=keys))
    for at in range(0, 48, 8):
        step = [keys[row][1] for row in rows[at : at + 8]]
        assert len(set(step)) == len(step)
    order.set_epoch(1)
    assert list(order) != rows
    assert sorted(Apart(lengths[:9], 4, 1, keys=[(0,)] * 9)) == list(range(9)), "where all are the same none is lost"
    labels = [n % 7 for n in range(56)]
    rows = list(Labelled(lengths + lengths[:6], 8, 1, labels=labels))
    assert sorted(rows) == list(range(56))
    assert all(labels[first] == labels[second] for first, second in zip(rows[::2], rows[1::2], strict=True))


def test_our_batches_give_the_losses_of_the_library(tmp_path: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from torch.nn import functional

    from engine.models.load import load_tokenizer
    from engine.training.contrast import Stack, features, loss_of
    from engine.training.judge import Judged
    from engine.training.texts import Reader

    folder = small.encoder(tmp_path / "enc")
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    record = DatasetRecord("d", "s", "f", "p", {}, {}, "pair", {"anchor": "q", "positive": "p"}, 0)
    texts = [("the heron number 1", "reed is blue"), ("power", "water and sky and rain and stone"), ("moss", "wind, cloud")]
    reader = Reader(record, load_tokenizer(folder), folder, 256)
    from engine.training.tally import Tally

    rows = reader._encoded([([anchor, positive], None, positive) for anchor, positive in texts], Tally())
    theirs = [model.preprocess(list(column)) for column in zip(*texts, strict=True)]
    batch = Stack(load_tokenizer(folder))(rows)
    with torch.no_grad():
        for part in (0, 2):
            loss = loss_of("pairs", model, part)
            assert float(loss(features(batch), batch["label"])) == pytest.approx(float(loss(theirs, None)), abs=1e-6)
    judge = CrossEncoder(str(small.reranker(tmp_path / "judge")), local_files_only=True)
    labels = torch.tensor([1.0, 0.0, 1.0])
    tokens = load_tokenizer(tmp_path / "judge")([q for q, _ in texts], [p for _, p in texts])
    names = ("input_ids", "token_type_ids")
    ours = Judged(load_tokenizer(tmp_path / "judge"))(
        [{"pairs": [{n: tokens[n][at] for n in names if n in tokens} for at in range(3)], "labels": labels}]
    )
    with torch.no_grad():
        scores = judge.model(**{name: value for name, value in ours.items() if name not in ("labels", "query")}).logits.squeeze(-1)
        wanted = BinaryCrossEntropyLoss(judge)([list(column) for column in zip(*texts, strict=True)], labels)
    assert float(functional.binary_cross_entropy_with_logits(scores, labels)) == pytest.approx(float(wanted), abs=1e-5)


def test_what_is_nearly_right_is_never_right(tmp_path: Path) -> None:
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.workspace import Workspace
    from engine.training.negatives import hard

    workspace = Workspace(tmp_path / "home")
    job = JobContext("1", workspace, lambda event: None, CancelToken(), resumed=False)
    passages = ["heron in the reed", "heron on a boat", "a stone", "heron and moss"]
    right = {"heron": {"heron in the reed"}, "stone": {"a stone"}}
    found = hard(job, ["heron", "stone"], passages, right, 2)
    workspace.close()
    assert {passages[at] for at in found[0]} == {"heron on a boat", "heron and moss"}
    assert len(found[1]) == 2 and 2 not in found[1]


@pytest.mark.slow
def test_an_encoder_learns_what_belongs_together_and_search_uses_it(trained: Engine) -> None:
    told = TOLD["near"]
    assert told["eval_loss_after"] < told["eval_loss_before"] - 0.5
    assert told["eval_accuracy_after"] > told["eval_accuracy_before"]
    assert trained.workspace.models.get("near").kind == "encoder"
    assert trained.run(trained.parse("use near")).data["encoder"] == "near"
    done(trained, "index pairs")
    index = trained.workspace.indexes.find("pairs")
    assert index is not None and index.encoder == "near"
    facts = json.loads((trained.workspace.paths.indexes / index.folder / "index.json").read_text("utf-8"))
    assert facts["plain"], "the tuned encoder runs without torch, as its base does"
    first, second = COUPLES[0]
    hits = trained.run(trained.parse(f"search {first} --on pairs --mode dense --count 8")).data["hits"]
    assert len(hits) == 8
    assert trained.run(trained.parse(f"search {second} --on pairs --rerank judge --count 3")).data["hits"]
    record = trained.workspace.models.get("near")
    trained.workspace.database.write("UPDATE models SET created = '2999-01-01T00:00:00.000+00:00' WHERE name = 'near'")
    with pytest.raises(NotFound, match="trained again"):
        trained.run(trained.parse("search heron --on pairs"))
    trained.workspace.models.put(record)


@pytest.mark.slow
def test_a_reranker_learns_and_both_are_measured_on_the_same_queries(trained: Engine) -> None:
    told = TOLD["judge"]
    assert told["eval_accuracy_after"] > told["eval_accuracy_before"]
    found = done(trained, "evaluate near --on pairs --rows 0 --with enc")
    runs = {one.model: one for one in trained.workspace.runs.all()}
    assert runs["near"].metrics["ndcg_10"] > runs["enc"].metrics["ndcg_10"]
    assert runs["near"].task == "retrieval" and found
    done(trained, "evaluate judge --on apart --rows 0 --encoder enc --with enc")
    alone, read = (next(one for one in trained.workspace.runs.all() if (one.model, one.dataset) == (name, "apart")) for name in ("enc", "judge"))
    frogs = [sum(name.startswith("frog") for row in predictions(one.predictions) for name in row["ranked"]) for one in (alone, read)]
    assert frogs[1] < frogs[0] / 2, "what never belongs to a query is put behind"
    assert set(read.metrics) >= {"ndcg_10", "mrr_10", "recall_10", "intervals"}
    done(trained, "train enc --on pairs --recipe rerank --epochs 1 --allow leak --name mined")
    assert trained.workspace.models.get("mined").facts["learns_from"] == "pairs"
    near = done(trained, "train enc --on apart --epochs 4 --learning-rate 0.003 --allow leak --name three")
    assert near["eval_loss_after"] < near["eval_loss_before"]
    for line, error in (
        ("evaluate near --on pairs --corpus pairs", "judgements"),
        ("evaluate near --on pairs --task classification", "can't be measured"),
    ):
        with pytest.raises(BitternError, match=error):
            trained.run(trained.parse(line))


@pytest.mark.slow
def test_a_corpus_with_judgements_is_searched(trained: Engine, tmp_path: Path) -> None:
    corpus = [{"_id": f"d{n}", "title": word, "text": f"the {word} is {n}"} for n, word in enumerate(small.WORDS)]
    files = {
        "corpus": corpus, "queries": [{"_id": "q1", "text": "the heron is 0 heron"}, {"_id": "q2", "text": "nobody judged this"}],
        "qrels": [{"query-id": "q1", "corpus-id": "d0", "score": 1}, {"query-id": "q1", "corpus-id": "d15", "score": 0}],
    }  # fmt: skip
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        done(trained, f"add {tmp_path / name}.jsonl --name {name} --test 0" + (" --text text" if name != "qrels" else ""))
    found = done(trained, "evaluate enc --on queries --corpus corpus --qrels qrels")
    assert found["rows"] == 1, "a query without judgements is left out"
    assert 0 < found["metrics"]["ndcg_10"] <= 1
    with pytest.raises(NotFound, match="id of a query"):
        done(trained, "evaluate enc --on queries --corpus corpus --qrels corpus")


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "flags"), [("labelled", "--recipe embed"), ("scored", "--recipe embed"), ("scored", "--recipe rerank")])
def test_other_rows_are_learnt_from_too(trained: Engine, tmp_path: Path, rows: str, flags: str) -> None:
    made = {
        "labelled": [{"text": f"the {word} {n}", "label": f"kind {at % 4}"} for n in range(6) for at, word in enumerate(small.WORDS)],
        "scored": [{"sentence1": a, "sentence2": b if n % 2 else "wind", "score": 5.0 * (n % 2)} for n in range(12) for a, b in COUPLES],
    }[rows]
    file = tmp_path / f"{rows}{len(flags)}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    done(trained, f"add {file}")
    told = done(trained, f"train enc --on {file.stem} {flags} --epochs 4 --batch-size 16 --learning-rate 0.003 --allow leak --name {file.stem}")
    assert told["eval_loss_after"] < told["eval_loss_before"]
    measured = "eval_spearman" if rows == "scored" else "eval_accuracy"
    assert told[f"{measured}_after"] >= told[f"{measured}_before"]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_learns_writes_and_is_measured(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    monkeypatch.setenv("BITTERN_THREADS", "1")
    (tmp_path / "echo.jsonl").write_text(echo_rows(160), "utf-8")
    done(engine, f"pull {encoder_decoder(tmp_path / 'model', family)} --name small")
    done(engine, f"add {tmp_path / 'echo.jsonl'} --name echo")
    assert engine.workspace.models.get("small").kind == "seq2seq"
    told = done(
        engine, "train small --on echo --learning-rate 0.01 --epochs 8 --batch-size 16 --allow leak --samples 1 --keep-checkpoints 1 --name said"
    )
    number = next(one.id for one in engine.workspace.jobs.all() if one.verb == "train")
    assert told["eval_loss_after"] < told["eval_loss_before"] - 3
    found = done(engine, "evaluate said --on echo --rows 8 --max-tokens 8")
    assert found["metrics"]["perplexity"] < 5 and "rouge_l" in found["metrics"]
    assert engine.run(engine.parse("chat --model said say heron 3")).data["answer"].strip()
    before, *_, after = (one["answer"] for one in done(engine, f"scrub {number} --max-tokens 4 say heron 3")["answers"])
    assert before != after in [word for couple in COUPLES for word in couple]
