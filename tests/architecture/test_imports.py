"""What start-up must not reach: the heavy libraries, and the engine before the first paint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "datasets", "sentence_transformers", "peft", "lancedb", "sklearn", "pandas", "scipy", "evaluate", "accelerate"}


def loaded_after(code: str) -> set[str]:
    """The top-level modules in a fresh interpreter after ``code``."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_loads_no_screen_and_nothing_heavy() -> None:
    loaded = loaded_after("import tui.__main__, tui.headless")
    assert not loaded & {*HEAVY, "textual", "rich"}


def test_the_screen_loads_nothing_heavy_before_its_first_paint() -> None:
    loaded = loaded_after("import tui.app")
    assert not loaded & {*HEAVY, "pyarrow", "numpy", "xllamacpp"}


def test_every_command_is_light_to_load() -> None:
    loaded = loaded_after("from engine.commands.registry import VERBS, command\nfor verb in VERBS: command(verb)\nimport engine.engine")
    assert not loaded & {*HEAVY, "pyarrow", "xllamacpp", "huggingface_hub"}


def test_an_open_engine_has_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from engine.engine import Engine
engine = Engine(Path({str(tmp_path)!r}), everything=True)
for line in ("datasets", "models", "jobs", "runs", "disk"):
    engine.run(engine.parse(line))
engine.close(1)"""
    assert not loaded_after(code) & HEAVY


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted(ROOT.glob("engine/**/*.py")) + sorted(ROOT.glob("tui/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400
