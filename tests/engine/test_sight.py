"""Models that see: pictures reach a transformers model through the pool and the chat, and those that can't see say so."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from engine.engine import Engine
from engine.errors import ModelError
from engine.inference.protocol import Sampling
from engine.jobs.context import CancelToken
from tests.fakes.follow import done, finish
from tests.fakes.pictures import png
from tests.fakes.projector import as_gguf
from tests.fakes.seeing import seeing_model, seeing_qwen
from tests.fakes.tiny import chat_model, instruction_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=8)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has pulled ``eyes``, ``qwen``, ``lost`` (``eyes`` without its processor's files) and ``plain``; beside its
    home lie ``red.png`` and ``blue.png``."""
    root = tmp_path_factory.mktemp("sight")
    os.environ["BITTERN_RUNNER"] = "thread"
    seeing_model(root / "eyes")
    seeing_qwen(root / "qwen")
    lost = shutil.copytree(root / "eyes", root / "lost")
    (lost / "processor_config.json").unlink()
    chat_model(root / "plain")
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (root / f"{name}.png").write_bytes(png(32, 24, colour))
    opened = Engine(root / "home", everything=True)
    try:
        for name in ("eyes", "qwen", "lost", "plain"):
            done(opened, f"pull {root / name} --name {name}")
        yield opened
    finally:
        opened.close(5)
        del os.environ["BITTERN_RUNNER"]


def run(engine: Engine, line: str) -> dict[str, Any]:
    return engine.run(engine.parse(line)).data


def beside(engine: Engine, name: str) -> Path:
    return engine.workspace.paths.root.parent / name


@pytest.mark.parametrize(("name", "picture", "mark"), [("eyes", 4, "<image>"), ("qwen", 6, "<|image_pad|>")])
def test_a_picture_changes_what_is_said(house: Engine, name: str, picture: int, mark: str) -> None:
    """``picture`` is the tokens of one, with what stands around it."""
    record = house.workspace.models.get(name)
    assert record.kind == "chat" and record.facts["sees"] == "pictures" and record.facts["context"] == 512
    with house.models.use(name) as backend:
        assert backend.facts.sees and backend.facts.backend == "transformers"

        def said(*images: str, text: str = "What is it?") -> str:
            parts = [*({"type": "image", "image": str(beside(house, image))} for image in images), {"type": "text", "text": text}]
            return "".join(backend.stream([{"role": "user", "content": parts}], GREEDY, CancelToken()))

        plain = said()
        red, red_tokens = said("red.png"), backend.usage.prompt_tokens
        assert said() == plain, "what the picture left behind is nothing to a text without one"
        blue = said("blue.png")
        assert backend.usage.cached == 0, "other pixels behind the same tokens: nothing is reused"
        assert len({red, blue, plain}) == 3 and red == said("red.png") and len(set(red)) > 1
        assert said(text="Is it?") and said(text="Is it?") and backend.usage.cached > 0, "words alone are read once"
        said("red.png", "blue.png")
        assert backend.usage.prompt_tokens == red_tokens + picture
        said("red.png", text=f"a {mark} b")
        assert backend.usage.prompt_tokens == red_tokens + len(f"a {mark} b") - len("What is it?"), "a written one is text"


def test_llama_cpp_sees_with_the_projector(house: Engine, tmp_path: Path) -> None:
    """The same weights as a GGUF with its mmproj beside it; the pictures are as large as it reads them.

    It begins as transformers does. Then the two part: llama.cpp rounds to 16 bits, and has the token of the whole picture last.
    """
    (tmp_path / "gguf").mkdir()
    done(house, f"pull {as_gguf(beside(house, 'eyes'), tmp_path / 'gguf')} --name llama")
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "grey": (128, 128, 128)}
    for name, colour in colours.items():
        (tmp_path / f"{name}.png").write_bytes(png(16, 16, colour))
    answers: dict[str, list[tuple[int, str]]] = {name: [] for name in colours}
    for model, engine in (("eyes", "transformers"), ("llama", "llama.cpp"), ("llama", "llama.cpp")):
        with house.models.use(model) as backend:
            assert backend.facts.sees and backend.facts.backend == engine
            for name, found in answers.items():
                parts = [{"type": "image", "image": str(tmp_path / f"{name}.png")}, {"type": "text", "text": "What is it?"}]
                said = "".join(backend.stream([{"role": "user", "content": parts}], GREEDY, CancelToken()))
                found.append((backend.usage.prompt_tokens, said))
    for torch, llama, again in answers.values():
        assert torch[0] == llama[0] and torch[1][0] == llama[1][0] and llama == again
    assert len({said for _, (_, said), _ in answers.values()}) == 3


def test_an_attached_picture_goes_along_in_a_chat(house: Engine) -> None:
    answers = []
    for name in ("red", "blue"):
        run(house, f"attach {beside(house, f'{name}.png')} --session {name}")
        line = f"--session {name} --temperature 0 --max-tokens 8"
        answers.append(run(house, f"chat --model eyes {line} What is it?")["answer"])
        # The picture stays in the conversation: the next question is answered with it.
        answers.append(run(house, f"chat --model eyes {line} And now?")["answer"])
    assert answers[0] != answers[2] and answers[1] != answers[3]


def test_who_can_not_see_says_so(house: Engine) -> None:
    assert "preprocessor_config.json" in house.workspace.models.get("lost").facts["sees"]
    assert run(house, "chat --model lost --session words --max-tokens 4 hello")["usage"]["completion_tokens"] <= 4
    for name, says in (("lost", "can't see: there is no preprocessor_config.json"), ("plain", "does not see")):
        run(house, f"attach {beside(house, 'red.png')} --session {name}")
        with pytest.raises(ModelError, match=says) as caught:
            run(house, f"chat --model {name} --session {name} What is it?")
        assert caught.value.hint
    beside(house, "lines.jsonl").write_text(instruction_rows(8))
    done(house, f"add {beside(house, 'lines.jsonl')} --name lines")
    number = run(house, "train eyes --on lines --max-steps 1")["job"]
    failed = finish(house, number, state="failed")
    assert "not be trained" in failed.error["message"]


def test_a_picture_that_is_gone_or_broken_is_named(house: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(png()[:40])
    with house.models.use("eyes") as backend:
        for image in (str(tmp_path / "broken.png"), str(tmp_path / "gone.png"), "data:image/png;base64,AAAA"):
            with pytest.raises(ModelError, match="can't be read"):
                list(backend.stream([{"role": "user", "content": [{"type": "image", "image": image}]}], GREEDY, CancelToken()))


def test_a_broken_processor_is_said(house: Engine, tmp_path: Path) -> None:
    folder = shutil.copytree(beside(house, "eyes"), tmp_path / "broken")
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "NoSuchProcessor"}))
    done(house, f"pull {folder} --name broken")
    with pytest.raises(ModelError, match="can't be loaded"):
        run(house, "chat --model broken --session broken hello")
