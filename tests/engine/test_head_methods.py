"""Recipes with a head under the methods that can train them: two steps each, and what is saved stands on its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import BitternError
from tests.fakes.follow import done
from tests.fakes.marked import labelled_rows, lines, scored_rows, tagged_rows
from tests.fakes.tiny import bert

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPES = {"tag": "ner", "classify": "birds", "multilabel": "topics", "regress": "prices"}
METHODS = {"tag": ("ia3", "dora"), "classify": ("ia3", "pissa"), "multilabel": ("rslora", "ia3"), "regress": ("dora", "ia3")}
"""Two of each recipe: all twenty pairs were tried when this was written. LoRA is in the recipes' own tests."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with an encoder, and rows for every recipe with a head."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BITTERN_RUNNER", "thread")
    patch.setenv("BITTERN_THREADS", "1")
    root = tmp_path_factory.mktemp("heads")
    birds = lines({"text": f"{word} {number}", "label": word} for number in range(12) for word in ("heron", "reed"))
    engine = Engine(root / "home", everything=True)
    try:
        done(engine, f"pull {bert(root / 'bert')} --name enc")
        for name, rows in (("ner", tagged_rows(24)), ("birds", birds), ("topics", labelled_rows(24)), ("prices", scored_rows(24))):
            (root / f"{name}.jsonl").write_text(rows, "utf-8")
            done(engine, f"add {root / f'{name}.jsonl'} --name {name} --test 0.2")
        yield engine
    finally:
        engine.close(5)
        patch.undo()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_head_is_trained_by_methods_that_merge_and_a_tuned_prompt_is_refused(house: Engine, recipe: str) -> None:
    from safetensors.torch import load_file

    base = load_file(Path(house.workspace.models.get("enc").folder) / "model.safetensors")
    key = "bert.encoder.layer.0.attention.self.value.weight"
    line = f"train enc --on {RECIPES[recipe]} --recipe {recipe} --max-steps 2 --eval-steps 2 --eval-rows 4 --batch-size 4 --learning-rate 0.05 --allow leak"
    for method in METHODS[recipe]:
        flags = "--method lora --init pissa" if method == "pissa" else f"--method {method}"
        told: dict[str, Any] = done(house, f"{line} {flags} --name {recipe}-{method}")
        assert told["steps"] == 2
        folder = Path(house.workspace.models.get(f"{recipe}-{method}").folder)
        whole = load_file(folder / "model.safetensors")
        assert not (folder / "adapter_config.json").exists() and not [name for name in whole if "lora" in name or "ia3" in name]
        assert key in whole and not whole[key].equal(base[key]), f"{method} changed nothing of the encoder"
        asked = house.run(house.parse(f"predict {recipe}-{method} the heron, a reed")).data
        assert asked
    with pytest.raises(BitternError, match="lora, dora, rslora, ia3 or full"):
        house.run(house.parse(f"{line} --method prompt"))
