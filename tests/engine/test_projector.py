"""llama.cpp and pictures: a projector alone, a broken one, and a GGUF without one are each told; nothing crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ModelError
from engine.models import local
from engine.models.gguf_write import write_gguf
from tests.fakes.files import gguf_file
from tests.fakes.pictures import png
from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

pytestmark = pytest.mark.slow


def test_who_has_no_projector_or_a_broken_one_says_so(engine: Engine, tmp_path: Path) -> None:
    def chat(name: str) -> Any:
        engine.run(engine.parse(f"attach {tmp_path / 'red.png'} --session {name}"))
        return engine.run(engine.parse(f"chat --model {name} --session {name} --max-tokens 4 What is it?"))

    (tmp_path / "red.png").write_bytes(png())
    for name in ("plain", "eyes"):
        (tmp_path / name).mkdir()
    write_gguf(chat_model(tmp_path / "tiny"), tmp_path / "plain" / "m.gguf", "F16")
    (tmp_path / "eyes" / "m.gguf").write_bytes((tmp_path / "plain" / "m.gguf").read_bytes())
    projector = tmp_path / "eyes" / "mmproj-m.gguf"
    projector.write_bytes(gguf_file(8, "clip"))
    with pytest.raises(ModelError, match="is the projector of a model that sees"):
        local.read(engine.workspace, projector, "projector")
    for name in ("plain", "eyes"):
        engine.workspace.models.put(local.read(engine.workspace, tmp_path / name, name))
    assert engine.workspace.models.get("eyes").facts["mmproj"] == str(projector)
    for name, says in (("plain", "does not see"), ("eyes", "can't load")):
        with pytest.raises(ModelError, match=says) as caught:
            chat(name)
        assert caught.value.hint
    projector.write_bytes(projector.read_bytes()[:20])
    with pytest.raises(ModelError, match=r"cut off|can't be read"):
        local.read(engine.workspace, tmp_path / "eyes", "eyes")
    projector.unlink()
    assert "mmproj" not in local.read(engine.workspace, tmp_path / "eyes", "eyes").facts
