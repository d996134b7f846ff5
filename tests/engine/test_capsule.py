"""A training is run again from its job and from its capsule, in another workspace too; its checkpoints are listed,
removed and asked the same question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.errors import BitternError
from engine.jobs.surroundings import surroundings
from engine.training import capsule
from tests.fakes.follow import done, finish

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = "train tiny --on lines --max-steps 8 --save-steps 2 --eval-steps 4 --eval-rows 8 --rows 24 --allow leak,stop --learning-rate 0.01"


def told(engine: Engine, line: str) -> str:
    with pytest.raises(BitternError) as caught:
        engine.run(engine.parse(line))
    return str(caught.value)


def test_a_training_is_replayed_here_and_elsewhere(opened: Engine, tmp_path: Path) -> None:
    done(opened, f"{TRAIN} --name first")
    file = tmp_path / "first.json"
    done(opened, f"capsule 1 --to {file}")
    assert "there already" in told(opened, f"capsule 1 --to {file}")
    again = done(opened, "replay 1")
    assert again["same"] and again["steps"] == 8 and again["worst"] <= 1e-6 and again["differs"] == []
    assert opened.workspace.models.names() == ["first", "tiny"], "nothing of a replay is kept"

    # The file alone, where the rows and the weights have other names, and one figure of the machine is another.
    kept = json.loads(file.read_text("utf-8"))
    assert str(opened.workspace.paths.root) not in json.dumps({key: kept[key] for key in ("made_with", "base", "command")})
    kept["made_with"]["libraries"]["torch"] = "1.0"
    kept["losses"][4][1] += 0.5
    file.write_text(json.dumps(kept), "utf-8")
    elsewhere = Engine(tmp_path / "elsewhere", everything=True)
    try:
        assert "No dataset here has the rows" in told(elsewhere, f"replay {file}")
        finish(elsewhere, elsewhere.run(elsewhere.parse(f"add {tmp_path / 'lines.jsonl'} --name other")).data["job"])
        assert "is not here" in told(elsewhere, f"replay {file}")
        finish(elsewhere, elsewhere.run(elsewhere.parse(f"pull {tmp_path / 'tiny'} --name else")).data["job"])
        found = done(elsewhere, f"replay {file}")
    finally:
        elsewhere.close(5)
    assert not found["same"] and found["first"] == 5 and found["worst"] == pytest.approx(0.5, abs=1e-6)
    assert found["differs"] == [f"torch 1.0 → {surroundings()['libraries']['torch']}"]

    assert "only a training" in told(opened, "replay 2")
    (tmp_path / "no.json").write_text("[]", "utf-8")
    assert "no capsule" in told(opened, f"replay {tmp_path / 'no.json'}")


def test_a_verdict_names_the_first_step_that_differs() -> None:
    kept = capsule.Capsule({}, surroundings(), {}, {}, [[1, 2.0], [2, 1.0]], [[0, 3.0]])
    assert capsule.compare(kept, [[1, 2.0], [2, 1.0 + 5e-7]], [[0, 3.0]]).same
    assert capsule.compare(kept, [[1, 2.0], [2, 1.1]], [[0, 3.0]]).first == 2
    assert capsule.compare(kept, [[1, 2.0]], [[0, 3.0]]).first == 2, "a step that is missing differs"
    assert capsule.compare(kept, [[1, 2.0], [2, float("nan")]], [[0, 3.0]]).first == 2


def test_checkpoints_are_kept_listed_removed_and_asked(opened: Engine) -> None:
    done(opened, f"{TRAIN} --name kept --keep-checkpoints 4")
    listed = opened.run(opened.parse("checkpoints 1")).data
    assert [one["step"] for one in listed["checkpoints"]] == [2, 4, 6, 8] and all(one["whole"] and one["bytes"] for one in listed["checkpoints"])
    assert listed["checkpoints"][1]["eval_loss"] is not None
    table = opened.run(opened.parse("checkpoints 1")).table
    assert table is not None and [
        row[1].endswith(f"(step {one['measured']})") for row, one in zip(table.rows, listed["checkpoints"], strict=True)
    ] == [one["eval_loss"] is not None and one["measured"] < one["step"] for one in listed["checkpoints"]], (
        "a loss of an earlier step is told as that"
    )
    assert any("(step" in row[1] for row in table.rows) and any(row[1] and "(" not in row[1] for row in table.rows)

    answers = done(opened, "scrub 1 --max-tokens 8 How do I list my jobs?")["answers"]
    assert [one["step"] for one in answers] == [0, 2, 4, 6, 8]
    assert answers[0]["answer"] != answers[-1]["answer"], "a large learning rate changes what a tiny model says"

    preview = opened.run(opened.parse("checkpoints 1 --keep 1")).data
    assert preview["removed"] == [] and 8 not in preview["would_remove"] and preview["would_remove"]
    opened.run(opened.parse("checkpoints 1 --remove 2 --yes"))
    gone = opened.run(opened.parse("checkpoints 1 --keep 0 --yes")).data
    assert gone["removed"] == [4, 6, 8]
    assert opened.run(opened.parse("checkpoints 1")).data["checkpoints"] == []
    assert "no whole checkpoint" in told(opened, "scrub 1 hello")
    assert "is no training" in told(opened, "checkpoints 2")
