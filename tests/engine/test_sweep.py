"""Sweeps: what may be tried, the best kept, trials that fall behind, and a stop in the middle of a trial."""

from __future__ import annotations

import math
import time
from typing import Literal

import pytest

from engine.engine import Engine
from engine.errors import BitternError
from engine.events import JobLog, JobProgress
from engine.jobs import journal
from engine.training import space
from engine.training.recipes.table import RECIPES, preset
from engine.training.spec import TrainSpec
from engine.training.trials import Trial
from tests.fakes.follow import done as ended
from tests.fakes.follow import finish

SPEC = TrainSpec(recipe="sft", base="b", dataset="d", name="n")
LINE = "sweep tiny --on lines --max-steps 6 --eval-steps 2 --save-steps 2 --eval-rows 8 --rows 24 --allow leak,stop --name swept"


def test_a_space_is_read_from_a_line() -> None:
    found = space.read("learning-rate=1e-4..1e-2 rank=4,8 batch_size=2..8", SPEC)
    assert found["rank"] == space.Choice((4, 8))
    rate, batch = found["learning_rate"], found["batch_size"]
    assert isinstance(rate, space.Range) and rate.log and not rate.whole
    assert isinstance(batch, space.Range) and batch.whole and not batch.log
    assert space.grid({"rank": space.Choice((4, 8)), "seed": space.Choice((0, 1))}) == [
        {"rank": 4, "seed": 0}, {"rank": 4, "seed": 1}, {"rank": 8, "seed": 0}, {"rank": 8, "seed": 1},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "something to try"),
        ("rnak=4", "did you mean"),
        ("eval_rows=4,8", "the same in every trial"),
        ("rank=many", "can't be many"),
        ("rank", "names no values"),
        ("learning_rate=2", "can't be 2"),
        ("rank=8..4", "no range"),
        ("scheduler=linear..cosine", "not a number"),
    ],
)
def test_what_is_wrong_with_a_space_is_named(line: str, told: str) -> None:
    with pytest.raises(BitternError) as caught:
        space.read(line, SPEC)
    assert told.lower() in f"{caught.value} {caught.value.hint}".lower()


@pytest.mark.parametrize("how", ["random", "tpe", "halving"])
def test_settings_that_were_tried_are_not_tried_again(how: Literal["random", "tpe", "halving"]) -> None:
    from engine.training.sweep import _ask

    listed: space.Space = {"rank": space.Choice((2, 4)), "seed": space.Choice((0, 1, 2))}
    assert space.size(listed) == 6 and space.size({"rank": space.Range(2, 8, whole=True)}) == 7
    assert space.size({"learning_rate": space.Range(1e-4, 1e-2, whole=False)}) == math.inf
    done: list[Trial] = []
    for number in range(6):
        _, _, settings = _ask(how, listed, done, number, 3, [])
        assert _ask(how, listed, done, number, 3, [])[2] == settings, "a sweep that goes on draws the same"
        done.append(Trial(number, settings, "done", 1.0 + number, 4, 1.0))
    assert len({str(trial.settings) for trial in done}) == 6
    assert space.untried(listed, [trial.settings for trial in done]) == {}
    assert space.read("rank=4,4,8", SPEC)["rank"] == space.Choice((4, 8))


def test_a_preset_gives_way_to_what_is_said() -> None:
    for recipe in RECIPES:
        quick, thorough = preset("quick", recipe), preset("thorough", recipe)
        assert quick["epochs"] <= RECIPES[recipe].defaults["epochs"] < thorough["epochs"]
        assert not preset("balanced", recipe)


def test_a_grid_keeps_the_best(opened: Engine) -> None:
    found = ended(opened, f'{LINE} --how grid --over "learning_rate=1e-5,1e-2"')
    trials = found["trials"]
    losses = {trial["settings"]["learning_rate"]: trial["eval_loss"] for trial in trials}
    assert losses[1e-2] < losses[1e-5], "the tiny model learns with one and not with the other"
    assert found["best"] == {"learning_rate": 1e-2}
    shown = opened.run(opened.parse("trials 1"))
    assert shown.data["trials"] == trials and trials[shown.data["best"] - 1]["settings"] == found["best"] and shown.opens == "trials:1"
    record = opened.workspace.models.get("swept")
    assert record.kind == "adapter" and record.facts["learning_rate"] == 1e-2 and record.facts["sweep"]["trials"] == 2
    assert record.facts["eval_loss_after"] == pytest.approx(losses[1e-2])
    assert not list(opened.workspace.paths.job("1").glob("trials/*")), "what the trials needed is gone"
    told = [event for event in opened.events_of("1") if isinstance(event, JobProgress) and event.unit == "trials"]
    assert {event.total for event in told} == {2} and [event.done for event in told] == sorted(event.done for event in told)
    assert told[-1].done == 2 and any(0 < event.done < 1 for event in told), "the bar is that of the whole sweep"


def test_halving_stops_what_is_behind(opened: Engine) -> None:
    line = f'{LINE} --how halving --trials 6 --seed 1 --over "learning_rate=1e-6..3e-2"'
    trials = ended(opened, line)["trials"]
    assert len(trials) == 6
    stopped = [trial for trial in trials if trial["state"] == "halved"]
    assert stopped and all(trial["steps"] < 6 for trial in stopped)
    best = min((trial for trial in trials if trial["state"] == "done"), key=lambda trial: trial["eval_loss"])
    assert all(best["eval_loss"] <= trial["eval_loss"] for trial in stopped)


def test_a_halving_that_measures_at_the_end_alone_says_so(opened: Engine) -> None:
    line = LINE.replace("--eval-steps 2", "--eval-steps 9")
    ended(opened, f'{line} --how halving --trials 2 --over "rank=2,4"')
    [job] = [record.id for record in opened.jobs() if record.verb == "sweep"]
    said = [event.text for event, _ in journal.read(opened.workspace.paths.job(job) / "events.jsonl") if isinstance(event, JobLog)]
    assert sum("a smaller --eval-steps lets it" in text for text in said) == 2


def test_a_stopped_sweep_goes_on_to_the_same_trials(opened: Engine) -> None:
    line = f'{LINE.replace("--max-steps 6", "--max-steps 16")} --how halving --trials 3 --over "learning_rate=1e-4..1e-2 rank=2,4"'
    whole = ended(opened, line)
    job = opened.run(opened.parse(line.replace("swept", "again"))).data["job"]
    folder = opened.workspace.paths.job(job)
    deadline = time.monotonic() + 60
    while not list(folder.glob("trials/0/checkpoints/checkpoint-4/complete.json")):
        assert time.monotonic() < deadline and opened.job(job).state in ("queued", "running")
        time.sleep(0.005)
    opened.run(opened.parse(f"pause {job}"))
    while opened.job(job).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert opened.job(job).state == "paused"
    assert not (folder / "trials.json").exists(), "stopped inside the first trial"
    opened.run(opened.parse(f"resume {job}"))
    finish(opened, job, seconds=180)
    again = opened.result(job).data
    for first, second in zip(whole["trials"], again["trials"], strict=True):
        assert second["settings"] == first["settings"] and second["state"] == first["state"]
        assert second["eval_loss"] == pytest.approx(first["eval_loss"], abs=1e-6)
