"""Metrics against figures worked out by hand, comparisons against known ones, and evaluations of real small models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.errors import BitternError, DataError, ModelError, NotFound
from engine.evaluation import kept
from engine.evaluation.chance import mcnemar, paired
from engine.evaluation.compare import compare
from engine.evaluation.figures import figure, headline
from engine.store.runs import RunRecord
from tests.fakes.follow import finish


def test_label_metrics_are_those_worked_out_by_hand() -> None:
    from engine.evaluation import metrics

    meant, said = ["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "c", "c"]
    found = metrics.measure([metrics.Accuracy(), metrics.MacroF1(), metrics.Confusion()], said, meant)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["macro_f1"] == pytest.approx((2 * 1 * (2 / 3) / (1 + 2 / 3) + 0.5 + 2 * 0.5 * 1 / 1.5) / 3)
    assert found["confusion"] == {"labels": ["a", "b", "c"], "matrix": [[2, 1, 0], [0, 1, 1], [0, 0, 1]]}


def test_an_answer_that_is_no_label_lowers_recall_but_is_no_label_of_its_own() -> None:
    from engine.evaluation import metrics

    found = metrics.measure([metrics.MacroF1()], ["a", metrics.OTHER], ["a", "a"])
    assert found["macro_f1"] == pytest.approx(2 / 3)
    assert metrics.nearest_label(" Card Arrival.\nbecause", ["card arrival", "refund"]) == "card arrival"
    assert metrics.nearest_label("no idea", ["card arrival"]) == metrics.OTHER


def test_text_metrics_are_those_worked_out_by_hand() -> None:
    from engine.evaluation import metrics

    found = metrics.measure([metrics.ExactMatch(), metrics.RougeL(), metrics.ChrF()], ["the red fox", "same"], ["the fox", " same "])
    assert found["exact_match"] == 0.5
    assert found["rouge_l"] == pytest.approx((2 * (2 / 3) * 1 / (5 / 3) + 1) / 2)
    assert 0 < found["chrf"] < 100
    # Of the letters one in two is right, of the pairs none: precision and recall are a quarter.
    assert metrics.chrf("ab", "ac") == pytest.approx(25)
    assert metrics.chrf("same", "same") == pytest.approx(100)


def test_perplexity_weighs_tokens_not_rows() -> None:
    from engine.evaluation import metrics

    found = metrics.measure([metrics.Perplexity()], [math.log(2) * 3, math.log(4)], [3, 1])
    assert found["loss"] == pytest.approx((3 * math.log(2) + math.log(4)) / 4)
    assert found["perplexity"] == pytest.approx(2**1.25)


def test_mcnemar_is_the_exact_binomial() -> None:
    from scipy.stats import binomtest

    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(4, 4) == 1.0
    assert mcnemar(700, 800) == pytest.approx(binomtest(700, 1500).pvalue)


def test_the_interval_covers_the_difference_and_is_the_same_every_time() -> None:
    random = np.random.default_rng(1)
    a = (random.random(400) < 0.5).astype(float)
    b = np.where(random.random(400) < 0.2, 1.0, a)
    low, high, p = paired(a, b)
    assert 0 < low < (b - a).mean() < high
    assert (low, high, p) == paired(a, b)
    assert p < 0.01
    # The normal approximation of a paired difference, which bootstrap should find.
    assert high - low == pytest.approx(2 * 1.96 * (b - a).std() / 20, rel=0.15)


def test_a_torn_line_is_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    kept.append(file, [{"row": 0, "prediction": "é"}, {"row": 1}])
    with file.open("ab") as handle:
        handle.write(b'{"row": 2, "pre')
    assert [row["row"] for row in kept.mend(file)] == [0, 1]
    kept.append(file, [{"row": 2}])
    assert [row["row"] for row in kept.read(file)] == [0, 1, 2]
    assert kept.mend(tmp_path / "none.jsonl") == []


def stored(folder: Path, number: str, rows: list[dict[str, Any]], **other: Any) -> RunRecord:
    file = folder / f"{number}.jsonl"
    kept.append(file, rows)
    values = {
        "model": f"m{number}",
        "dataset": "d",
        "split": "test",
        "fingerprint": "f",
        "task": "classification",
        "metrics": {"accuracy": 0, "macro_f1": 0.5},
    }
    return RunRecord(**{"job": number, "rows": len(rows), "predictions": str(file), "id": number, **values, **other})


def rows_of(right: list[bool]) -> list[dict[str, Any]]:
    return [
        {"row": at, "address": f"d/test/{at}", "prompt": f"t{at}", "reference": "x", "prediction": "x" if good else "y", "correct": good}
        for at, good in enumerate(right)
    ]


def test_compare_pairs_rows_by_their_address(tmp_path: Path) -> None:
    a = stored(tmp_path, "1", rows_of([True, False, False, False, False, False]))
    b = stored(tmp_path, "2", list(reversed(rows_of([False, True, True, True, True]))))
    found = compare(a, b)
    assert found.rows == 5
    [accuracy] = found.differences
    assert (accuracy.metric, accuracy.a, accuracy.b) == ("accuracy", 0.2, 0.8)
    assert accuracy.p == pytest.approx(mcnemar(1, 4)) == pytest.approx(12 / 32)
    assert [row["address"] for row in found.flipped] == [f"d/test/{n}" for n in range(5)]
    assert found.flipped[0]["a_correct"] is True


def test_compare_refuses_what_cannot_be_compared(tmp_path: Path) -> None:
    a = stored(tmp_path, "1", rows_of([True]))
    for other in ({"split": "train"}, {"fingerprint": "g"}, {"task": "generation"}):
        with pytest.raises(DataError):
            compare(a, stored(tmp_path, f"2{next(iter(other))}", rows_of([True]), **other))


def test_perplexity_is_compared_with_an_interval(tmp_path: Path) -> None:
    def rows(shift: float) -> list[dict[str, Any]]:
        return [
            {"row": at, "address": f"d/test/{at}", "prompt": "", "reference": "", "nll": at % 5 + shift, "tokens": 2 + at % 3} for at in range(40)
        ]

    a = stored(tmp_path, "1", rows(1.0), task="perplexity", metrics={})
    b = stored(tmp_path, "2", rows(0.5), task="perplexity", metrics={})
    [found] = compare(a, b).differences
    tokens = sum(2 + at % 3 for at in range(40))
    assert found.a == pytest.approx(math.exp((80 + 40) / tokens))
    assert found.low is not None and found.high is not None and found.low < found.difference < found.high < 0


def test_figures_are_written_for_people() -> None:
    assert (figure("accuracy", 0.5), figure("chrf", -1.25, sign=True)) == ("0.500", "-1.2")
    assert headline({"loss": 1.0, "perplexity": 2.5, "chrf": 3.0}) == "perplexity 2.50"


@pytest.mark.slow
def test_a_chat_model_is_measured_and_compared(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    try:
        with pytest.raises(NotFound, match="tinny"):
            engine.run(engine.parse("evaluate tinny --on lines"))
        with pytest.raises(ModelError, match="classification"):
            engine.run(engine.parse("evaluate tiny --on lines --task classification"))
        line = "evaluate tiny --on lines --split train --rows 10 --batch-size 4 --max-tokens 5"
        first = engine.run(engine.parse(line)).data["job"]
        finish(engine, first)
        run = engine.workspace.runs.all()[0]
        rows = [json.loads(text) for text in Path(run.predictions).read_text("utf-8").splitlines()]
        assert run.rows == len(rows) == 10
        assert [row["row"] for row in rows] == sorted(row["row"] for row in rows)
        assert set(run.metrics) == {*run.metrics["intervals"], "intervals", "backend"}
        assert {"exact_match", "token_f1", "bleu", "wer", "perplexity", "bits_per_byte"} < set(run.metrics)
        assert run.metrics["loss"] == pytest.approx(sum(row["nll"] for row in rows) / sum(row["tokens"] for row in rows))
        assert not (engine.workspace.paths.job(first) / "predictions.jsonl").exists()

        # A batch of another size, with other padding, measures the same.
        finish(engine, engine.run(engine.parse(line.replace("--batch-size 4", "--batch-size 1"))).data["job"])
        again = engine.workspace.runs.all()[0]
        assert again.metrics.pop("intervals").keys() == run.metrics.pop("intervals").keys()
        assert again.metrics == pytest.approx(run.metrics, abs=1e-4)
        result = engine.run(engine.parse(f"compare {run.id} {again.id}"))
        assert result.data["flipped"] == []
        assert result.table is not None and result.table.columns[0] == "metric"
        assert len(engine.run(engine.parse("runs")).data["runs"]) == 2
        with pytest.raises(BitternError):
            engine.run(engine.parse("compare tiny nothing"))
    finally:
        engine.close(5)


@pytest.mark.slow
def test_an_evaluation_goes_on_after_its_last_whole_line(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.evaluation.answers import Answers
    from engine.evaluation.run import evaluate
    from engine.evaluation.spec import EvalSpec
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.workspace import Workspace

    workspace = Workspace(tiny_home)
    spec = EvalSpec(model="tiny", dataset="lines", split="train", task="perplexity", rows=12, batch_size=4)
    done: list[int] = []
    predict = Answers.predict

    def counted(self: Answers, rows: Any, token: CancelToken) -> list[dict[str, Any]]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(rows))
        return predict(self, rows, token)

    def context(number: str) -> JobContext:
        workspace.paths.job(number).mkdir(parents=True, exist_ok=True)
        return JobContext(number, workspace, lambda event: None, CancelToken(), resumed=False)

    whole = evaluate(context("90"), spec)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Answers, "predict", counted)
        evaluate(context("91"), spec)
    file = workspace.paths.job("91") / "predictions.jsonl"
    with file.open("ab") as handle:
        handle.write(b'{"row": 5')
    assert len(kept.read(file)) == 8
    resumed = evaluate(context("91"), spec)
    intervals, of_whole = resumed.data["metrics"].pop("intervals"), whole.data["metrics"].pop("intervals")
    assert resumed.data["metrics"] == pytest.approx(whole.data["metrics"], abs=1e-6)
    assert all(intervals[name] == pytest.approx(of_whole[name], abs=1e-6) for name in of_whole)
    assert resumed.data["rows"] == 12
    assert evaluate(context("91"), spec).data["run"] == resumed.data["run"], "a run is put on the list once"
    workspace.close()
