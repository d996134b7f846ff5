"""While a training runs: memory that runs out, a loss that runs away, the best that is kept, and changes on the way."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from engine import events
from engine.engine import Engine
from engine.errors import BitternError, JobError
from engine.training import reporting
from engine.training.recipes import recipe
from engine.training.spec import TrainSpec
from tests.fakes.follow import finish
from tests.fakes.tiny import chat_model, instruction_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
LINE = "train tiny --on lines --max-steps 8 --eval-steps 4 --eval-rows 4 --seed 3 --batch-size 4 --rows 40 --name"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One workspace for all: ``tiny``, ``lines`` and jobs in threads."""
    root = tmp_path_factory.mktemp("steering")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BITTERN_RUNNER", "thread")
        patched.setenv("BITTERN_THREADS", "1")
        file = root / "lines.jsonl"
        file.write_text(instruction_rows(60), "utf-8")
        opened = Engine(root / "home", everything=True)
        for line in (f"pull {chat_model(root / 'tiny')} --name tiny", f"add {file} --name lines"):
            finish(opened, opened.run(opened.parse(line)).data["job"])
        yield opened
        opened.close(5)


def start(engine: Engine, line: str, state: str = "done") -> str:
    job = str(engine.run(engine.parse(line)).data["job"])
    finish(engine, job, state=state)
    return job


def at_step(step: int, act: Callable[[Any], None], patched: pytest.MonkeyPatch) -> None:
    """Have ``act`` done, with the callback, as step ``step`` ends."""
    ended = reporting.Report.on_step_end

    def acting(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            act(self)
        ended(self, args, state, control, **kwargs)

    patched.setattr(reporting.Report, "on_step_end", acting)


def metric(engine: Engine, job: str, name: str = "loss") -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in engine.events_of(job) if isinstance(event, events.JobMetric) and event.name == name]


def log(engine: Engine, job: str) -> str:
    return "\n".join(event.text for event in engine.events_of(job) if isinstance(event, events.JobLog))


def test_a_smaller_batch_keeps_the_rows_of_a_step_exactly() -> None:
    sizes = {}
    for batch, accumulation in ((8, 2), (9, 1), (7, 1), (5, 2), (6, 1), (1, 4)):
        spec: TrainSpec | None = TrainSpec(
            recipe="sft", base="b", dataset="d", name="n", batch_size=batch, grad_accumulation=accumulation, eval_batch_size=1
        )
        found = []
        while (spec := spec.halved()) is not None:
            assert spec.rows_a_step == batch * accumulation
            found.append(spec.batch_size)
        sizes[batch] = found
    assert sizes == {8: [4, 2, 1], 9: [3, 1], 7: [1], 5: [2, 1], 6: [3, 1], 1: []}


def test_memory_runs_out_at_a_step_and_the_training_goes_on_from_it(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from engine.commands.training.train import Train

    spec_of = Train.spec
    # Without dropout the losses depend on the rows of a step alone, and not on how many are in memory at once.
    monkeypatch.setattr(Train, "spec", lambda self, dataset: spec_of(self, dataset).model_copy(update={"dropout": 0.0}))
    line = LINE.replace("--batch-size 4", "--batch-size 9").replace("--eval-steps 4", "--eval-steps 8")
    expected = metric(tiny, start(tiny, f"{line} roomy"))

    loaded: list[weakref.ref[Any]] = []
    kind = type(recipe("sft"))
    model_of, begun = kind.model, reporting.Report.on_step_begin

    def model(self: Any, spec: Any, folder: Any, prepared: Any) -> Any:
        assert all(old() is None for old in loaded), "the model that failed is gone before the next one is loaded"
        found = model_of(self, spec, folder, prepared)
        loaded.append(weakref.ref(found))
        return found

    def begins(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        begun(self, args, state, control, **kwargs)
        if state.global_step == 5 and args.per_device_train_batch_size > 3:
            torch.empty(1 << 50, dtype=torch.uint8)  # More than any machine has: the allocator itself says no.

    monkeypatch.setattr(kind, "model", model)
    monkeypatch.setattr(reporting.Report, "on_step_begin", begins)
    job = start(tiny, f"{line} tight")
    assert len(loaded) == 2
    assert "Going on with batches of 3 rows, 3 to a step: each step still learns from 9 rows." in log(tiny, job)
    assert "Going on from step 5." in log(tiny, job)
    found = metric(tiny, job)
    assert [step for step, _ in found] == list(range(1, 9)), "no step is done twice"
    assert [value for _, value in found] == pytest.approx([value for _, value in expected], abs=2e-3)


def test_a_loss_that_runs_away_is_stopped_explained_and_gone_on_with_more_gently(tiny: Engine) -> None:
    job = start(tiny, f"{LINE.replace('--max-steps 8', '--max-steps 60')} wild --learning-rate 0.99 --method full", "failed")
    error = tiny.job(job).error
    assert "far above the usual" in error["message"] or "not a number" in error["message"] or "not finite" in error["message"]
    assert f"resume {job} --learning-rate 0.2" in error["hint"]
    assert [repair["line"] for repair in error["repairs"]] == [f"resume {job} --learning-rate 0.2"]
    assert max(step for step, _ in metric(tiny, job)) < 40 and tiny.workspace.models.find("wild") is None
    tiny.run(tiny.parse(f"resume {job} --learning-rate 0.001 --max-steps 4"))
    finish(tiny, job)
    assert tiny.workspace.models.get("wild").facts["learning_rate"] == 0.001
    assert "learning rate 0.99 → 0.001, max steps 60 → 4" in log(tiny, job)


def test_a_training_without_gain_stops_and_the_best_is_kept(tiny: Engine) -> None:
    line = LINE.replace("--max-steps 8", "--max-steps 60").replace("--eval-steps 4", "--eval-steps 1")
    job = start(tiny, f"{line} patient --patience 2 --learning-rate 0.3")
    measured = {step: value for step, value in metric(tiny, job, "eval_loss") if step}
    best = min(measured, key=lambda step: (measured[step], step))
    assert max(measured) == best + 2 < 60
    facts = tiny.workspace.models.get("patient").facts
    assert (facts["steps"], facts["eval_loss_after"]) == (best, pytest.approx(measured[best]))
    assert "has not fallen for 2 measures" in log(tiny, job)
    told = tiny.result(job)
    assert (told.data["steps"], told.data["ended"]) == (best, "patience") and told.data["reached"] > best
    assert f"at step {best}, the best of {told.data['reached']} (" in told.summary and "no gain in 2 measures" in told.summary


def test_a_person_saves_finishes_and_reads_samples(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = metric(tiny, start(tiny, f"{LINE} plain"))

    def asks(verb: str) -> Callable[[Any], None]:
        return lambda report: tiny.run(tiny.parse(f"{verb} {report._job.id}"))

    with monkeypatch.context() as patched:
        at_step(3, asks("checkpoint"), patched)
        at_step(5, asks("finish"), patched)
        job = start(tiny, f"{LINE} finished --samples 2")
    assert 3 in [event.step for event in tiny.events_of(job) if isinstance(event, events.JobCheckpoint)]
    assert dict(metric(tiny, job)) == pytest.approx(dict(expected[:5]), abs=1e-6), "samples draw no random numbers"
    assert [step for step, _ in metric(tiny, job, "eval_loss")] == [0, 4, 5]
    assert tiny.workspace.models.get("finished").facts["steps"] in (4, 5) and "Stopped on request" in log(tiny, job)
    assert tiny.result(job).summary.endswith("; stopped before step 8: on request")
    samples = tiny.run(tiny.parse(f"job {job}")).data["samples"]
    assert [(one["step"], one["sample"]) for one in samples] == [(5, 1), (5, 2)] and "Say the word" in samples[0]["prompt"]
    assert "Step 0, sample 1: " in log(tiny, job)
    for line in (f"finish {job}", f"resume {job} --max-steps 4", f"resume {job} --learning-rate 0.01"):
        with pytest.raises(JobError, match="is done") as caught:
            tiny.run(tiny.parse(line))
        assert not any(word in caught.value.hint for word in ("resume", "pause")), "neither helps a job that is over"


def test_a_paused_training_goes_on_with_another_rate_and_more_steps(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        at_step(4, lambda report: report._job.token.ask("pause"), patched)
        job = start(tiny, f"{LINE} changed --learning-rate 0.001", "paused")
    for wrong, said in ((f"resume {job} --max-steps 4", "done 4 steps"), ("resume 1 --max-steps 4", "no training")):
        with pytest.raises(JobError, match=said):
            tiny.run(tiny.parse(wrong))
    tiny.run(tiny.parse(f"resume {job} --learning-rate 0.0005 --max-steps 12"))
    finish(tiny, job)
    rates = dict(metric(tiny, job, "learning_rate"))
    assert sorted(rates) == list(range(1, 13))
    # Linear, from the place where it stood, in the shape of twelve steps: one of warm-up, eleven down to nothing.
    assert [rates[step] for step in range(5, 13)] == pytest.approx([0.0005 * (12 - step) / 11 for step in range(4, 12)], rel=0.1)
    kept = json.loads((tiny.workspace.paths.job(job) / "job.json").read_text("utf-8"))
    assert kept["changes"][0] | {"at": ""} == {"at": "", "step": 4, "learning_rate": [0.001, 0.0005], "max_steps": [8, 12]}
    assert kept["command"]["max_steps"] == tiny.workspace.models.get("changed").facts["steps"] == 12


def test_a_preflight_says_what_a_training_will_need_and_leaves_nothing(tiny: Engine) -> None:
    home = tiny.workspace.paths.root
    before = {path for path in home.rglob("*") if "jobs" not in path.parts and path.suffix not in (".db-wal", ".db-shm", ".log")}
    job = start(tiny, "preflight tiny --on lines --batch-size 4 --rows 40 --eval-rows 4 --epochs 2")
    data = tiny.result(job).data
    assert (data["steps"], data["rows"], data["batch_size"], len(data["step_seconds"])) == (20, 40, 4, 6)
    assert 0 < data["seconds"]["least"] <= data["seconds"]["likely"] <= data["seconds"]["most"]
    assert data["peak"] > 2**27 and data["measures"] == 5
    assert [gate["name"] for gate in data["gates"]] == ["stop", "truncated", "empty", "leak"] and data["red"] == []
    after = {path for path in home.rglob("*") if "jobs" not in path.parts and path.suffix not in (".db-wal", ".db-shm", ".log")}
    assert after == before and not list(tiny.workspace.paths.job(job).rglob("checkpoint-*"))
    assert (
        tiny.workspace.models.names() == sorted(record.name for record in tiny.model_records()) and "tiny-lines" not in tiny.workspace.models.names()
    )


def test_a_preflight_finds_the_batch_that_fits(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from engine.training import preflight

    begun = preflight._Clock.on_step_begin

    def begins(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        begun(self, args, state, control, **kwargs)
        if args.per_device_train_batch_size > 3:
            torch.empty(1 << 50, dtype=torch.uint8)

    monkeypatch.setattr(preflight._Clock, "on_step_begin", begins)
    data = tiny.result(start(tiny, "preflight tiny --on lines --batch-size 6 --rows 12 --eval-rows 4")).data
    assert (data["asked_batch_size"], data["batch_size"], data["grad_accumulation"], data["steps"]) == (6, 3, 2, 2)


def test_a_name_is_given_once_and_no_model_is_replaced(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        at_step(4, lambda report: report._job.token.ask("pause"), patched)
        job = start(tiny, f"{LINE} twin", "paused")
    with pytest.raises(BitternError, match=f"Job {job}, which is paused, makes a model called “twin”") as caught:
        tiny.run(tiny.parse(f"{LINE} twin"))
    assert f"cancel {job}" in caught.value.hint
    tiny.run(tiny.parse(f"cancel {job}"))
    other = start(tiny, f"{LINE} twin --seed 5")
    tiny.run(tiny.parse(f"resume {job}"))
    finish(tiny, job)
    assert tiny.workspace.models.get("twin").facts["job"] == other, "what another training left is still there"
    assert tiny.result(job).data["model"] == "twin-2" and tiny.workspace.models.get("twin-2").facts["job"] == job
    assert "this one is called “twin-2”" in log(tiny, job)
