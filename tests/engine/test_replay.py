"""Any history replays from its source to the same rows, and each step does what plain Python does."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from engine.data.lineage import steps, versions
from tests.fakes.lineage import Lab, Rows, flat, sixty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(home: Path, tmp_path: Path) -> Iterator[Lab]:
    made = sixty(home, tmp_path)
    yield made
    made.workspace.close()


def _model(rows: Rows, step: steps.Step) -> Rows:
    """What a step makes of rows, told a second time in plain Python."""
    match step:
        case steps.Filter():
            kept = {split: [row for row in found if row["n"] % 7 != int(step.expression[-1])] for split, found in rows.items()}
            return {split: found for split, found in kept.items() if found}
        case steps.Map():
            return {split: [{**row, step.column: row["n"] * 2} for row in found] for split, found in rows.items()}
        case steps.Rename():
            return {split: [{step.new if k == step.old else k: v for k, v in row.items()} for row in found] for split, found in rows.items()}
        case steps.Drop():
            return {split: [{k: v for k, v in row.items() if k not in step.columns} for row in found] for split, found in rows.items()}
        case steps.Edit():
            edited = [{**row, step.column: step.value} if n == step.row else row for n, row in enumerate(rows[step.split])]
            return {**rows, step.split: edited}
    raise AssertionError(step)


def _random_step(chance: random.Random, rows: Rows) -> steps.Step:
    first = next(iter(rows.values()))
    columns = [column for column in first[0] if column not in ("n", "label")]
    choices: list[steps.Step] = [
        steps.Filter(expression=f"n % 7 <> {chance.randrange(7)}"), steps.Map(column=chance.choice(["twice", "label"]), expression="n * 2"),
        steps.Edit(split=next(iter(rows)), row=chance.randrange(len(first)), column=columns[0], value=f"new {chance.random()}"),
        steps.Label(split=next(iter(rows)), row=chance.randrange(len(first)), column="n", value=chance.randrange(50)),
        steps.Rename(old=columns[0], new=f"c{chance.randrange(1000)}"), steps.Shuffle(seed=chance.randrange(9)),
        steps.Sample(part=0.8, seed=chance.randrange(9)), steps.Divide(test=0.3, seed=chance.randrange(9)), steps.Dedupe(on=("n",)),
    ]  # fmt: skip
    if len(columns) > 1:
        choices.append(steps.Drop(columns=(columns[0],)))
    return chance.choice(choices)


@pytest.mark.parametrize("seed", range(5))
def test_any_history_replays_to_the_same_rows(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    at = [lab.rows("t")]
    ahead: list[Rows] = []
    for _ in range(14):
        if len(at) > 1 and chance.random() < 0.2:
            versions.undo(lab.workspace, "t")
            ahead.append(at.pop())
        elif ahead and chance.random() < 0.5:
            versions.redo(lab.workspace, "t")
            at.append(ahead.pop())
        else:
            step = _random_step(chance, at[-1])
            count = len(lab.workspace.versions.all("t"))
            lab.do("t", step)
            new = lab.rows("t")
            if isinstance(step, (steps.Shuffle, steps.Sample, steps.Divide, steps.Dedupe)):
                assert not Counter(map(str, flat(new))) - Counter(map(str, flat(at[-1]))), "only rows that were there"
            else:
                assert new == _model(at[-1], step)
            if len(lab.workspace.versions.all("t")) > count:
                at.append(new)
                ahead.clear()
        assert lab.rows("t") == at[-1]
    done = lab.replay("t")
    assert done.imported and not done.rebuilt and done.steps == len(versions.lineage(lab.workspace, done.version)) - 1
