"""Verdicts: tests of chance against scipy, several runs, slices, worst rows and the rows that a model learned from."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.errors import BitternError, DataError, ModelError, NotFound
from engine.evaluation.chance import holm, paired
from engine.evaluation.rowwise import measures
from engine.evaluation.slices import by_values, quarters
from engine.evaluation.worst import worst
from engine.store.models import ModelRecord
from engine.store.runs import RunRecord
from tests.fakes.follow import finish
from tests.fakes.runs import ROWS, labelled, run, three_runs
from tests.fakes.tables import put, say
from tests.fakes.tiny import instruction_rows

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


@pytest.fixture
def world(engine: Engine) -> Engine:
    three_runs(engine)
    return engine


def test_the_paired_bootstrap_says_about_what_a_paired_t_test_says() -> None:
    from scipy.stats import ttest_rel

    random = np.random.default_rng(3)
    a = random.normal(0, 1, 300)
    for shift in (0.0, 0.08, 0.14):
        b = a + random.normal(shift, 1, 300)
        assert paired(a, b)[2] == pytest.approx(ttest_rel(a, b).pvalue, abs=0.02)
    assert paired(a, a)[2] == 1.0, "the same run twice differs by nothing"
    assert paired(np.zeros(4), np.ones(4))[2] >= 2 / 2**4, "four rows can't say more than that"


def test_holm_is_the_step_down_that_he_described() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_figures_by_row_are_those_of_the_run() -> None:
    said, meant = ["the red fox", "a b c d", ""], ["the fox", "a b c e", "gone"]
    rows = [
        {"row": n, "prediction": a, "reference": b, "correct": a == b, "rouge_l": 0.5, "chrf": 10.0, "nll": 2.0 * n + 1, "tokens": n + 2}
        for n, (a, b) in enumerate(zip(said, meant, strict=True))
    ]
    found = {measure.name: measure.of(*measure.columns(rows)) for measure in measures({}, rows[0])}
    assert found["wer"] == pytest.approx((1 + 1 + 1) / (2 + 4 + 1))
    assert found["bits_per_byte"] == pytest.approx(9 / math.log(2) / (7 + 7 + 4))
    assert found["perplexity"] == pytest.approx(math.exp(9 / 9))
    from engine.evaluation import texts

    whole = texts.written(said, meant)
    assert {name: found[name] for name in ("exact_match", "token_f1", "wer", "cer")} == pytest.approx(
        {name: whole[name] for name in ("exact_match", "token_f1", "wer", "cer")}
    )


def test_three_runs_are_held_against_the_first(world: Engine) -> None:
    result = say(world, "compare a b c")
    both = say(world, "compare a b")
    [metric, other] = [data["metrics"]["accuracy"] for data in (result.data, *result.data["others"])]
    assert (metric["a"], metric["b"], metric["verdict"], metric["test"]) == (0.5, pytest.approx(59 / 60), "better", "McNemar")
    assert metric["adjusted"] == pytest.approx(2 * both.data["metrics"]["accuracy"]["adjusted"]), "Holm counts two comparisons"
    assert (other["p"], other["verdict"]) == (1.0, "no more than chance")
    assert "Holm's for 2 comparisons" in result.summary and result.table is not None
    assert result.table.columns[1:] == ["A: a", "B: b", "C: c"]
    assert result.opens == "compare:1,2,3"
    assert say(world, "compare 1 3").data["names"] == ["a", "c"]
    with pytest.raises(NotFound):
        say(world, "compare a b nobody")
    with pytest.raises(BitternError, match="one run together"):
        say(world, "compare a a")


def test_slices_say_where_and_how_many_were_looked_at(world: Engine) -> None:
    result = say(world, "compare a b --by colour")
    found = {item["slice"]: item for item in result.data["slices"]["slices"]}
    assert (found["red"]["a"], found["red"]["b"], found["red"]["verdict"]) == (0.0, 1.0, "better")
    assert (found["blue"]["difference"], found["blue"]["verdict"]) == (pytest.approx(-1 / 30), "no more than chance")
    assert found["red"]["adjusted"] == pytest.approx(2 * found["red"]["p"])
    assert "2 slices by colour were tested; 1 changed by more than chance, corrected for that many looks (Holm)." in result.summary
    assert world.matching("tickets", found["red"]["where"])["test"] == 30, "a slice opens as a table"
    assert result.table is not None and result.table.rows[0][0] == "red", "what changed comes first"
    by_label = say(world, "compare a b --by label").data["slices"]
    assert [item["rows"] for item in by_label["slices"]] == [30, 30]
    assert len(say(world, "compare a b --by length").data["slices"]["slices"]) == 4
    with pytest.raises(NotFound, match="clour"):
        say(world, "compare a b --by clour")
    with pytest.raises(NotFound, match="map"):
        say(world, "compare a b --by cluster")
    with pytest.raises(DataError, match="nearly every row"):
        say(world, "compare a b --by text")
    with pytest.raises(NotFound, match="chrf"):
        say(world, "compare a b --by label --metric chrf")


def test_slices_by_cluster_are_those_of_the_map(world: Engine) -> None:
    from tests.fakes.follow import finish

    finish(world, say(world, "atlas tickets").data["job"])
    slices = say(world, "compare a b --by cluster").data["slices"]["slices"]
    assert sum(item["rows"] for item in slices) == ROWS
    assert {item["slice"] for item in slices} <= {item["words"] for item in say(world, "clusters tickets").data["clusters"]} | {"(not on the map)"}


def test_small_slices_are_told_but_not_tested(world: Engine) -> None:
    run(world, "d", labelled([True, False, True]))
    run(world, "e", labelled([True, True, True]))
    found = say(world, "compare d e --by label")
    assert [item["p"] for item in found.data["slices"]["slices"]] == [None, None]
    assert "0 slices by label were tested (2 with too few rows were not)" in found.summary


def test_values_become_slices_and_numbers_quarters() -> None:
    assert by_values("c", ["x", None, "x", ""]) == ["x", "(empty)", "x", "(empty)"]
    assert len(set(by_values("n", list(range(300))))) == 4
    assert quarters([1, 1, 1, 1], "characters") == ["1 characters"] * 4
    assert quarters([None, 2.0], "") == ["(empty)", "2"]


def test_the_worst_rows_come_first(world: Engine) -> None:
    rows = labelled([at >= 3 for at in range(8)])
    found = worst(rows, 5)
    assert [(item.row["row"], item.why) for item in found] == [(0, "wrong"), (1, "wrong"), (2, "wrong"), (7, "unsure"), (6, "unsure")]
    with pytest.raises(DataError, match="chrf"):
        worst(rows, 5, "chrf")
    written = [
        {"row": n, "correct": False, "chrf": value, "nll": 1.0, "tokens": 2, "reference": "ab" * (n + 1)} for n, value in enumerate((9.0, 3.0))
    ]
    assert [item.row["row"] for item in worst(written, 5)] == [1, 0]
    assert [item.row["row"] for item in worst(written, 1, "loss")] == [0]
    result = say(world, "worst b")
    assert result.data["rows"][0]["address"] == "tickets/test/59" and result.data["stale"] is False
    assert json.loads(json.dumps(result.data))["run"]["model"] == "b"


def test_the_nearest_training_rows_need_an_index_and_say_so(world: Engine) -> None:
    with pytest.raises(NotFound) as raised:
        say(world, "nearest b 59")
    assert raised.value.hint == "Build it: index tickets"
    with pytest.raises(NotFound, match="no row 99"):
        say(world, "nearest b 99")


@pytest.mark.slow
def test_a_model_is_measured_with_its_base_and_the_job_ends_with_the_verdict(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.engine import Engine
    from tests.fakes.follow import finish

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(tiny_home, everything=True)
    try:
        with pytest.raises(ModelError, match="not trained from another"):
            say(engine, "evaluate tiny --on lines --with base")
        with pytest.raises(ModelError, match="with itself"):
            say(engine, "evaluate tiny --on lines --with tiny")
        tiny = engine.workspace.models.get("tiny")
        engine.workspace.models.put(replace(tiny, name="tuned", base="tiny"))
        job = say(engine, "evaluate tuned --on lines --with base --task perplexity --rows 6").data["job"]
        assert engine.job(job).command["with_"] == "tiny"
        finish(engine, job)
        runs = engine.runs()
        assert [(run.model, run.job, run.rows) for run in runs] == [("tuned", job, 6), ("tiny", job, 6)]
        result = engine.result(job)
        assert (result.data["a"]["model"], result.data["b"]["model"], result.opens) == ("tiny", "tuned", "compare:1,2")
        assert result.data["metrics"]["perplexity"]["verdict"] == "no more than chance"
        assert result.data["metrics"]["bits_per_byte"]["a"] == pytest.approx(runs[1].metrics["bits_per_byte"])
    finally:
        engine.close(5)


@pytest.mark.slow
def test_the_nearest_training_rows_are_those_that_mean_the_same(with_starter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.engine import Engine
    from tests.fakes.follow import finish

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(with_starter, everything=True)
    try:
        texts = ["my parcel has not arrived yet", "please give me my money back", "how do I change my password"]
        splits = {"train": {"text": texts, "label": ["late", "refund", "password"]}, "test": {"text": ["where is my package"], "label": ["late"]}}
        put(engine, "tickets", splits, shape="classification", columns={"text": "text", "label": "label"})
        finish(engine, say(engine, "index tickets").data["job"])
        rows = labelled([False])
        rows[0]["prompt"] = "where is my package"
        run(engine, "m", rows)
        found = say(engine, "nearest m tickets/test/0 --count 2").data
        assert found["trained_on"] == "tickets/train" and len(found["rows"]) == 2
        assert (found["rows"][0]["address"], found["rows"][0]["answer"]) == ("tickets/train/0", "late")
        assert all(row["address"].startswith("tickets/train/") for row in found["rows"]), "the test split is left out"
    finally:
        engine.close(5)


def test_the_number_of_a_job_is_no_run_and_it_is_said_which_it_made(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text(instruction_rows(4))
    job = finish(engine, engine.run(engine.parse(f"add {tmp_path / 'asked.jsonl'}")).data["job"]).id
    for line, said in (
        (f"worst {job}", rf"There is no run {job}\. Job {job} \(add asked\) is done\. Runs have numbers of their own"),
        ("compare 98 99", r"There is no run 98\. Runs have numbers"), ("worst 77", r"Job 77 made run 1\."),
    ):  # fmt: skip
        if "77" in line:
            engine.workspace.runs.add(RunRecord("77", "m", "asked", "train", "x", "generation", 4, {}, str(tmp_path / "none")))
        with pytest.raises(NotFound) as caught:
            engine.run(engine.parse(line))
        assert re.search(said, str(caught.value)), str(caught.value)


def test_what_can_not_be_measured_is_said_of_the_model_that_it_is_about(engine: Engine, tmp_path: Path) -> None:
    for name, text in (("topics", '{"text": "a heron", "label": "bird"}\n{"text": "a reed", "label": "plant"}\n'), ("asked", instruction_rows(4))):
        (tmp_path / f"{name}.jsonl").write_text(text * 2 if name == "topics" else text)
        finish(engine, engine.run(engine.parse(f"add {tmp_path / name}.jsonl")).data["job"])
    keep = engine.workspace.models.put
    keep(ModelRecord("minibert", "encoder", "made", 1, folder=str(tmp_path)))
    keep(ModelRecord("sorter", "classifier", "made", 1, folder=str(tmp_path), base="minibert", facts={"labels": ["bird", "plant"]}))
    keep(ModelRecord("pulled", "classifier", "made", 1, folder=str(tmp_path), facts={"labels": 3}))
    engine.workspace.runs.add(RunRecord("1", "sorter", "topics", "train", "x", "classification", 4, {}, str(tmp_path / "none")))
    for line, said, way in (
        ("evaluate sorter --on topics --with base", "“minibert” is of the kind encoder and can't be held against “sorter”", "Leave --with out"),
        ("evaluate sorter --on asked", "nothing to measure “sorter” against", "It needs a text and a label."),
        ("evaluate pulled --on asked", "nothing to measure “pulled” against", "It needs a text and a label."),
        ("judge sorter --by minibert", "measured by classification, not by generation", "`runs` lists"),
    ):
        with pytest.raises(BitternError, match=said) as caught:
            engine.run(engine.parse(line))
        assert way in caught.value.hint and "--task" not in caught.value.hint
