"""Every recipe's model as files for elsewhere: they say what the model says, load as their README tells, and come back as what they were."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from tests.engine.test_kill import BASES, ROWS
from tests.fakes.follow import done

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES = {
    "tag": ("tagger", "bert", "tags", "token-classification"),
    "multilabel": ("multilabel", "bert", "several", "text-classification"),
    "regress": ("regressor", "bert", "scores", "text-classification"),
    "classify": ("classifier", "bert", "labels", "text-classification"),
    "embed": ("encoder", "encoder", "pairs", "sentence-similarity"),
    "rerank": ("reranker", "encoder", "pairs", "text-ranking"),
    "seq2seq": ("seq2seq", "t5", "echo", "text2text-generation"),
}
"""For each recipe the kind of its model, a base, rows, and what the Hub calls what it does."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A workspace with every base and dataset of ``CASES``."""
    root = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BITTERN_RUNNER", "thread")
        engine = Engine(root / "home", everything=True)
        try:
            for name in {base for _, base, _, _ in CASES.values()}:
                done(engine, f"pull {BASES[name](root / name)} --name {name}")
            for name in {rows for _, _, rows, _ in CASES.values()}:
                (root / f"{name}.jsonl").write_text(ROWS[name](80), encoding="utf-8")
                done(engine, f"add {root / name}.jsonl --name {name}")
            yield engine
        finally:
            engine.close(5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", CASES)
def test_it_says_the_same_elsewhere_and_comes_back(house: Engine, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, base, rows, task = CASES[recipe]
    method = "full" if recipe in ("embed", "rerank") else "lora"
    done(house, f"train {base} --on {rows} --recipe {recipe} --method {method} --max-steps 4 --eval-steps 4 --rows 40 --allow leak --name {recipe}")
    told = done(house, f"export-model {recipe} {tmp_path / 'out'} --rows 6")
    trip = told["round_trip"]
    assert (told["kind"], told["as"]) == (kind, "adapter" if house.workspace.models.get(recipe).base and kind == "adapter" else "merged")
    assert trip["prompts"] == trip["same"] == 6 and trip["logprob_max"] <= 1e-5

    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert f'pipeline_tag: "{task}"' in card and str(house.workspace.paths.root) not in card
    monkeypatch.chdir(tmp_path / "out")
    [code] = re.findall(r"## Use\n\n```\n(.*?)\n```", card, re.DOTALL)
    exec(code, {})

    done(house, f"pull {tmp_path / 'out'} --name back-{recipe}")
    back = house.workspace.models.get(f"back-{recipe}")
    assert back.kind == kind
    again = done(house, f"export-model back-{recipe} {tmp_path / 'again'} --prompts {rows} --rows 6")
    assert again["round_trip"]["same"] == 6
    if kind != "reranker":
        two = [done(house, f"evaluate {name} --on {rows} --rows 10")["metrics"] for name in (recipe, f"back-{recipe}")]
        assert two[0] == two[1]
