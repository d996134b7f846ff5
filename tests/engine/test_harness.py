"""lm-evaluation-harness on our model: its own scores, row by row, and a run on the list."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import DataError
from engine.evaluation import kept
from engine.store.models import ModelRecord
from tests.fakes.follow import finish

pytest.importorskip("lm_eval", reason="the extra “harness” is not installed")
TASK = """
task: herons
dataset_path: json
dataset_kwargs: {data_files: {test: exam.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""


def task_in(folder: Path) -> Path:
    draw = random.Random(1)
    rows = [
        {
            "question": f"What stands in water {at}?",
            "choices": [draw.choice(["heron", "a long bird", "mud"]) + str(n) for n in range(3)],
            "answer": at % 3,
        }
        for at in range(20)
    ]
    (folder / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / "herons.yaml"
    file.write_text(TASK)
    return file


@pytest.mark.slow
def test_our_scores_are_those_of_the_harness(tmp_path: Path) -> None:
    """The same rows through HFLM, in float32: likelihoods to 1e-4 (they differ by rounding alone), figures equal."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from engine.evaluation.harness import OurLM, measured
    from engine.evaluation.harness_task import read_task
    from engine.models.load import load_causal
    from tests.fakes.tiny import chat_model

    model, tokenizer = load_causal(chat_model(tmp_path / "tiny"), None, "float32")
    config = read_task(task_in(tmp_path))
    ours, theirs = OurLM(model, tokenizer, 4, file=tmp_path / "asked.jsonl"), HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    pairs = [("Question: what?\nAnswer:", f" heron {at}") for at in range(5)] + [("", "reed"), ("ends in space ", "pond")]
    asked = [Instance("loglikelihood", {}, pair, at) for at, pair in enumerate(pairs)]
    for (mine, same), (other, also) in zip(ours.loglikelihood(asked), theirs.loglikelihood(asked), strict=True):
        assert mine == pytest.approx(other, abs=1e-4) and same == also
    long = [Instance("loglikelihood_rolling", {}, ("heron " * 120,), 0), Instance("loglikelihood_rolling", {}, ("reed",), 1)]
    assert ours.loglikelihood_rolling(long) == pytest.approx(theirs.loglikelihood_rolling(long), abs=2e-3)
    written = [Instance("generate_until", {}, ("Question: what?\nAnswer:", {"until": ["\n"], "max_gen_toks": 8, "do_sample": False}), 0)]
    assert ours.generate_until(written) == theirs.generate_until(written)
    mine, rows = measured(ours, config, 0)
    other, others = measured(theirs, config, 0)  # type: ignore[arg-type]
    assert {name: mine[name] for name in ("accuracy", "acc_norm")} == {name: other[name] for name in ("accuracy", "acc_norm")}
    assert [row["correct"] for row in rows] == [row["correct"] for row in others]
    again = OurLM(model, tokenizer, 4, file=tmp_path / "asked.jsonl")
    again._model = again._likelihood = None  # type: ignore[assignment]
    assert again.loglikelihood(asked) == ours.loglikelihood(asked), "what was asked before a kill is not asked again"


@pytest.mark.slow
def test_a_task_becomes_a_run(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = task_in(tiny_home.parent)
    engine = Engine(tiny_home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"harness tiny --task {file} --rows 6")).data["job"])
        [run] = engine.workspace.runs.all()
        assert (run.task, run.dataset, run.rows) == ("harness", "herons", 6)
        rows = kept.read(Path(run.predictions))
        assert run.metrics["accuracy"] == pytest.approx(sum(row["correct"] for row in rows) / 6)
        assert "acc_norm" in run.metrics["intervals"]
    finally:
        engine.close(5)


def test_a_task_that_runs_code_or_asks_the_hub_is_not_taken(tmp_path: Path) -> None:
    from engine.evaluation.harness_task import read_task

    for text, told in [
        ("task: t\ndataset_path: json\ndoc_to_text: !function x.y\n", "no task"), ("task: t\ndataset_path: cais/mmlu\n", "cais/mmlu"),
        ("task: t\ninclude: other.yaml\n", "single task"), ("- a\n", "single task"), ("task: t\ndataset_path: json\n", "names no files"),
        ("task: t\ndataset_path: json\ndataset_kwargs: x.json\n", "names no files"),
    ]:  # fmt: skip
        file = tmp_path / "t.yaml"
        file.write_text(text)
        with pytest.raises(DataError, match=told):
            read_task(file)
    with pytest.raises(DataError, match="can't be read"):
        read_task(tmp_path / "none.yaml")


def test_the_files_of_a_task_stand_as_datasets_takes_them(tmp_path: Path) -> None:
    from engine.evaluation.harness_task import read_task

    file = tmp_path / "t.yaml"
    for said, found in [
        ("a.json", {"train": f"{tmp_path}/a.json"}), ("[a.json, b.json]", {"train": [f"{tmp_path}/a.json", f"{tmp_path}/b.json"]}),
        ("{test: a.json}", {"test": f"{tmp_path}/a.json"}), ("{test: [/x/a.json]}", {"test": ["/x/a.json"]}),
    ]:  # fmt: skip
        file.write_text(f"task: t\ndataset_path: json\ndataset_kwargs:\n  data_files: {said}\n")
        assert read_task(file)["dataset_kwargs"] == {"data_files": found}


def test_a_task_that_is_not_there_is_said_before_a_job_waits(engine: Engine, tmp_path: Path) -> None:
    engine.workspace.models.put(ModelRecord("tiny", "chat", "made", 1))
    with pytest.raises(DataError, match=r"none\.yaml can't be read"):
        engine.run(engine.parse(f"harness tiny --task {tmp_path / 'none.yaml'}"))
    assert not engine.jobs()
