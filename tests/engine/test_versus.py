"""Answers side by side: sides and their settings, blind order, votes, the tally, and preferences that training reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import BitternError, DataError, NotFound
from engine.evaluation.tally import Pair, preferences, tally
from engine.events import Event, SideDelta
from engine.store.ballots import Ballot
from tests.fakes.follow import finish


def ballot(sides: list[str], vote: str) -> Ballot:
    return Ballot([{"role": "user", "content": "q"}], sides, [f"by {side}" for side in sides], list(range(len(sides))), 0, vote=vote)


def test_votes_are_counted_by_pair_whatever_the_order_of_the_sides() -> None:
    found = tally(
        [
            ballot(["a", "b"], "0"),
            ballot(["b", "a"], "1"),
            ballot(["a", "b"], "1"),
            ballot(["b", "a"], "tie"),
            ballot(["a", "b"], "skip"),
            ballot(["a", "b"], ""),
        ]
    )
    assert found == [Pair("a", "b", 2, 1, 1)]
    assert found[0].rate == 2.5 / 4
    three = tally([ballot(["a", "b", "c"], "2")])
    assert three == [Pair("a", "c", 0, 1, 0), Pair("b", "c", 0, 1, 0)]


def test_the_interval_is_wilsons() -> None:
    """Against statsmodels' proportion_confint(8, 10, method='wilson') = (0.4902, 0.9433)."""
    low, high = Pair("a", "b", 8, 2, 0).interval()
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Pair("a", "b", 3, 0, 0).interval()[1] == pytest.approx(1.0)


def test_preferences_leave_out_ties_and_equal_answers() -> None:
    same = Ballot([{"role": "user", "content": "q"}], ["a", "b"], ["x", "x"], [0, 1], 0, vote="0")
    found = preferences([ballot(["a", "b", "c"], "1"), ballot(["a", "b"], "tie"), same])
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found] == [("by b", "by a"), ("by b", "by c")]
    assert found[0]["prompt"] == [{"role": "user", "content": "q"}]


@pytest.fixture
def tiny(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    from engine.models.gguf_write import write_gguf

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    file = tiny_home.parent / "small.gguf"
    write_gguf(tiny_home.parent / "tiny", file, "F32")
    opened = Engine(tiny_home, everything=True)
    finish(opened, opened.run(opened.parse(f"pull {file} --name small")).data["job"])
    yield opened  # type: ignore[misc]
    opened.close(5)


def test_one_prompt_blind_vote_and_names(tiny: Engine) -> None:
    tiny.run(tiny.parse('preset terse --save --temperature 0 --max-tokens 3 --system "Be brief."'))
    heard: list[Event] = []
    found = tiny.run(tiny.parse("versus small@terse,small+temperature=0+max-tokens=9 --seed 7 What is a heron?"), heard.append)
    data = found.data
    assert "side" not in data["places"][0]
    assert "small" not in found.body
    streamed = ["".join(event.text for event in heard if isinstance(event, SideDelta) and event.side == place).strip() for place in (0, 1)]
    assert streamed == [place["answer"] for place in data["places"]]
    voted = tiny.run(tiny.parse(f"vote {data['ballot']} 2")).data
    assert {place["side"] for place in voted["places"]} == {"small@terse", "small+temperature=0+max-tokens=9"}
    assert [place["chosen"] for place in voted["places"]] == [False, True]
    again = tiny.run(tiny.parse("versus small@terse,small+temperature=0+max-tokens=9 --seed 7 --open What is a heron?")).data
    assert [place["answer"] for place in again["places"]] == [place["answer"] for place in voted["places"]]
    pair = tiny.run(tiny.parse("votes")).data["pairs"][0]
    assert pair["wins"] + pair["losses"] == 1


def test_a_set_of_rows_is_a_job_whose_ballots_are_voted_through_and_exported(tiny: Engine, tmp_path: Path) -> None:
    job = tiny.run(tiny.parse("versus small+temperature=0,small+temperature=1.5 --on lines --rows 3 --seed 1 --max-tokens 6")).data["job"]
    finish(tiny, job)
    result = tiny.result(job)
    assert len(result.data["ballots"]) == 3
    assert result.opens == f"versus:batch-{job}"
    for vote in ("1", "tie", "skip"):
        waiting = tiny.run(tiny.parse(f"ballot --batch {job}")).data
        assert waiting["address"].startswith("lines/")
        tiny.run(tiny.parse(f"vote {waiting['ballot']} {vote}"))
    assert tiny.run(tiny.parse(f"ballot --batch {job}")).data == {"ballot": None}
    counted = tiny.run(tiny.parse(f"votes --batch {job}")).data
    assert (counted["ballots"], counted["waiting"]) == (3, 0)
    assert sum(counted["pairs"][0][name] for name in ("wins", "losses", "ties")) == 2
    file = tmp_path / "preferred.jsonl"
    assert tiny.run(tiny.parse(f"votes --export {file}")).data["rows"] == 1
    row = json.loads(file.read_text())
    assert row["chosen"] != row["rejected"]
    with pytest.raises(DataError, match="is there already"):
        tiny.run(tiny.parse(f"votes --export {file}"))
    finish(tiny, tiny.run(tiny.parse(f"add {file} --name preferred")).data["job"])
    assert tiny.workspace.datasets.get("preferred").shape == "preference"


def test_what_is_wrong_with_a_side_is_said(engine: Engine, tiny: Engine) -> None:
    with pytest.raises(BitternError, match="names 1 sides"):
        tiny.run(tiny.parse("versus small Hello"))
    with pytest.raises(NotFound, match="model called “smal”"):
        tiny.run(tiny.parse("versus small,smal Hello"))
    with pytest.raises(NotFound, match="preset called “x”"):
        tiny.run(tiny.parse("versus small,small@x Hello"))
    with pytest.raises(BitternError, match="is no setting"):
        tiny.run(tiny.parse("versus small,small+hot Hello"))
    with pytest.raises(BitternError, match="temperature"):
        tiny.run(tiny.parse("versus small,small+temperature=99 Hello"))
    with pytest.raises(NotFound, match="no ballot 99"):
        tiny.run(tiny.parse("vote 99 1"))


def test_a_job_of_before_whose_answers_were_kept_as_lists_goes_on(tiny: Engine) -> None:
    job = tiny.run(tiny.parse("versus small+temperature=0,small+temperature=1.5 --on lines --rows 3 --seed 1 --max-tokens 6")).data["job"]
    finish(tiny, job)
    before = [ballot.answers for ballot in tiny.workspace.ballots.all(job)]
    file = tiny.workspace.paths.job(job) / "answers.jsonl"
    file.write_text('[0, 0, "kept from before"]\n[1, 2, "this too"]\n[1, 1, "torn')
    tiny.workspace.database.write("UPDATE jobs SET state = 'interrupted' WHERE id = ?", job)
    tiny.run(tiny.parse(f"resume {job}"))
    finish(tiny, job)
    found = [ballot.answers for ballot in tiny.workspace.ballots.all(job)]
    assert (found[0][0], found[2][1]) == ("kept from before", "this too")
    assert (found[1], found[2][0]) == (before[1], before[2][0]), "the rest was asked again"
    assert len(file.read_text().splitlines()) == 6
