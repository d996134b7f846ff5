"""What a form says of a training while it is filled in, and that a training then does the same."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from tests.fakes.follow import finish
from tests.fakes.tiny import preferences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tiny(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    opened = Engine(tiny_home, everything=True)
    yield opened
    opened.close(5)


def test_recipe_rows_and_steps_are_those_of_the_training(tiny: Engine) -> None:
    found = tiny.training_outlook("train tiny --on lines --preset quick --batch-size 16")
    assert not found.wrong
    assert found.says == (
        "Recipe sft (lora): answers of a chat model. 72 rows of lines/train (instruction → output), once. 5 steps of 16 rows."
        " Measured on 8 rows of lines/test."
    )
    assert {name: found.filled[name] for name in ("epochs", "rows", "split", "eval_rows", "eval_steps", "name")} == {
        "epochs": "1", "rows": "all 72", "split": "train", "eval_rows": "32", "eval_steps": "5", "name": "tiny-lines",
    }  # fmt: skip
    done = finish(tiny, tiny.run(tiny.parse("train tiny --on lines --preset quick --batch-size 16")).data["job"])
    answer = tiny.result(done.id)
    assert answer.data["steps"] == 5 and answer.data["rows"] == 72


def test_rows_of_another_shape_choose_another_recipe(tiny: Engine, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(preferences(30), "utf-8")
    finish(tiny, tiny.run(tiny.parse(f"add {tmp_path / 'pairs.jsonl'} --name votes --test 0")).data["job"])
    found = tiny.training_outlook("train tiny --on votes --rows 5")
    assert found.says.startswith("Recipe dpo (lora)") and "5 rows of votes/train" in found.says
    assert "Measured on 3 rows of votes/train that it does not see." in found.says


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("train tiny --on lines --recipe tag", "of the kind chat"),
        ("train tiny --on lines --recipe dpo", "Leave --recipe open: sft learns from such rows."),
        ("train tiny --on lines --split nowhere", "has train, test"),
        ("train tiny --on lines --method full --init pissa", "LoRA's"),
        ("train tiny --on lines --name tiny", "called “tiny” already"),
        ("train nobody --on lines", "There is no model called “nobody”."),
    ],
)
def test_what_can_not_be_trained_is_said_before_it_is_sent(tiny: Engine, line: str, wrong: str) -> None:
    found = tiny.training_outlook(line)
    assert wrong in found.wrong and not found.says


def test_it_loads_nothing_heavy(tiny_home: Path) -> None:
    code = """
import sys
from pathlib import Path
from engine.engine import Engine
engine = Engine(Path(sys.argv[1]), working=False)
assert engine.training_outlook("train tiny --on lines").says
heavy = {"torch", "transformers", "datasets"} & set(sys.modules)
engine.close(1)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny_home)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
