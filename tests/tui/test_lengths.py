"""Tokens wherever a length matters: the chat box, attachments, a row, search results, the forms for training and sampling."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from engine.commands.lengths import Lengths
from engine.engine import Engine
from engine.models.gguf_write import write_gguf
from engine.models.tokens import _made_from, at_once
from tests.fakes.follow import finish
from tests.tui.test_flows import screen, until
from tui.measuring import room_told
from tui.screens.sampling import SamplingForm
from tui.screens.train_form import TrainForm
from tui.widgets.chips import Chip
from tui.widgets.entries import Citations

if TYPE_CHECKING:
    from pathlib import Path

FULL = {"used": 3000, "window": 4096, "room": 512}


@pytest.mark.parametrize(
    ("typed", "context", "attached", "told"),
    [
        (1, {}, 0, "1 token, 3,583 left"),
        (84, FULL, 0, "84 tokens, 500 left"),
        (84, FULL, 400, "484 tokens, 100 left"),
        (84, FULL, 900, "984 tokens, older turns make room"),
        (4000, FULL, 0, "4,000 tokens, more than the 4,096 that m reads"),
        (84, None, 0, "84 tokens"),
    ],
)
def test_what_is_left_of_the_window(typed: int, context: dict[str, int] | None, attached: int, told: str) -> None:
    assert room_told(Lengths("m", [typed], 4096), context, attached)[0] == told


async def test_tokens_stand_where_a_length_matters(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model's tokens are bytes, so that each figure can be counted by hand."""
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    note = tmp_path / "note.txt"
    note.write_text("herons wait", "utf-8")
    async with screen(tiny_home) as (app, pilot):
        for line in ("use tiny", "use lines", f"attach {note}"):
            app.engine.run(app.engine.parse(line))
        box = app.parts.box
        await until(lambda: app.parts.chips.tokens == 11)
        assert "note.txt 11 tok" in str(app.query_one(Chip).content)
        app.chat.mode = "chat"
        box.put("hello")
        await until(lambda: "16 tokens, 240 left" in str(box.border_subtitle))  # of 512: 256 for the answer
        box.put("/chat hello there")
        await until(lambda: "22 tokens, 234 left" in str(box.border_subtitle))
        box.put("/models")
        await until(lambda: not box.border_subtitle)
        box.put("")

        await app.open_address("dataset:lines/train/0")
        row = app.engine.window("lines", "train", 0, 1)[0]
        size = len(f"{row['instruction']}\n{row['output']}")
        await until(lambda: f"{size} tokens of tiny" in str(app.parts.switcher.border_subtitle))

        await app.open_train_form("tiny", "lines")
        form: TrainForm = await until(lambda: app.screen if isinstance(app.screen, TrainForm) else None)
        await until(lambda: form.query("#memory"))
        await until(lambda: "none is longer than 512" in str(form.query_one("#memory", Static).content))
        form.query_one("#field-max_length", Input).value = "40"
        await until(lambda: "of them are longer than 40 and would be cut" in str(form.query_one("#memory", Static).content))
        await pilot.press("escape")
        await app.action_sampling()
        await until(lambda: isinstance(app.screen, SamplingForm) and app.screen.query("#field-system"))
        app.screen.query_one("#field-system", Input).value = "Be brief."
        await until(lambda: "9 of the 512 tokens that tiny reads" in str(app.screen.query_one("#memory", Static).content))
        await pilot.press("escape")

        hits = [{"address": "lines/train/0", "text": "heron"}, {"address": "lines/train/1", "text": ""}]
        await app.draw_chat([app.chat.add("note", "2 rows.", result={"data": {"hits": hits}})])
        found: Citations = await until(lambda: next(iter(app.query(Citations)), None))
        await until(lambda: "lines/train/0 · 5 tok" in str(found.get_option_at_index(0).prompt))
        assert "tok" not in str(found.get_option_at_index(1).prompt)


def test_a_tokenizer_inside_a_gguf_is_not_waited_for(tiny_home: Path) -> None:
    file = tiny_home.parent / "small.gguf"
    write_gguf(tiny_home.parent / "tiny", file, "F16")
    engine = Engine(tiny_home, everything=True)
    try:
        finish(engine, engine.run(engine.parse(f"pull {file} --name small")).data["job"])
        engine.run(engine.parse("use small"))
        assert engine.lengths(["heron"]) is None and at_once(engine.workspace, "small") is None
        taken = _made_from(engine.workspace, "small", file)
        taken.parent.mkdir()
        shutil.copy(tiny_home.parent / "tiny" / "tokenizer.json", taken)  # as a process of its own does, in seconds
        assert engine.lengths(["heron"]) == Lengths("small", [5], 512)
    finally:
        engine.close(5)


def test_counting_brings_no_torch(tiny_home: Path) -> None:
    code = """
import sys
from pathlib import Path
from engine.engine import Engine
engine = Engine(Path(sys.argv[1]))
engine.run(engine.parse("use tiny"))
assert engine.lengths(["heron"]).tokens == [5]
assert "none is longer" in engine.training_lengths("train tiny --on lines")
heavy = {"torch", "transformers", "datasets"} & set(sys.modules)
engine.close(5)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny_home)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
