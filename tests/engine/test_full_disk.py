"""A disk that really fills up, in the middle of a training, a download or an answer: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.errors import DiskFull
from engine.events import TokenDelta
from engine.models.gguf_write import write_gguf
from tests.fakes.files import safetensors_file
from tests.fakes.follow import finish
from tests.fakes.hub import COMMIT, Hub, Trouble
from tests.fakes.online import go_online
from tests.fakes.tiny import chat_model, talkative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.events import Event


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB; the test is skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is free; returns the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return filler


def bittern(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", "--workspace", str(home), "--quiet", "--json", *words], capture_output=True, text=True, check=False, timeout=180
    )


@pytest.mark.slow
def test_a_training_on_a_full_disk_fails_clearly_and_resumes(tiny_home: Path, small_disk: Path) -> None:
    home = small_disk / "home"
    shutil.copytree(tiny_home, home)
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    with filler.open("wb") as file:
        # Room for the job's own notes, not for a checkpoint.
        file.write(b"\0" * (free - 400_000))
    train = ("train", "tiny", "--on", "lines", "--max-steps", "12", "--save-steps", "4", "--eval-steps", "100", "--name", "full")
    failed = bittern(home, *train)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    told = json.loads(failed.stdout.splitlines()[-1])
    assert told["title"] == "The disk is full", told
    assert "resume" in told["hint"]
    assert "Traceback" not in failed.stderr
    filler.unlink()
    done = bittern(home, "resume", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "done"
    assert "full" in bittern(home, "models").stdout


@pytest.mark.parametrize("together", [True, False], ids=["workspace on the same disk", "workspace on another"])
def test_a_pull_whose_disk_fills_goes_on_at_the_next_byte(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    weights = safetensors_file({"model.embed_tokens.weight": (1000, 1000)})
    config = json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}).encode()
    hub = Hub({"config.json": config, "tokenizer.json": b"{}", "model.safetensors": weights}, lfs=("model.safetensors",))
    cache = go_online(monkeypatch, small_disk, hub)
    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine((small_disk if together else tmp_path) / "home", everything=True)
    try:
        finish(engine, engine.run(engine.parse("pull org/first")).data["job"])
        blobs = cache / "models--org--second" / "blobs"
        part = blobs / f"{hashlib.sha256(weights).hexdigest()}.part"

        def fill_midway() -> None:
            deadline = time.monotonic() + 60
            while not part.is_file() or part.stat().st_size < len(weights) // 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            fill(small_disk)

        hub.trouble = Trouble(midway=fill_midway)
        job = engine.run(engine.parse("pull org/second")).data["job"]
        error = finish(engine, job, state="failed").error
        assert error["title"] == "The disk is full"
        assert "org/second needs 2" in error["message"] and f"are free in {cache}" in error["message"]
        assert "resume the job" in error["hint"] and "HF_HUB_CACHE" in error["hint"]
        came = part.stat().st_size
        assert len(weights) // 2 <= came < len(weights) and part.read_bytes() == weights[:came]
        assert [record.name for record in engine.model_records()] == ["first"]
        first = Path(engine.model_records()[0].folder)
        assert (first / "model.safetensors").read_bytes() == weights and (first.parents[1] / "refs" / "main").read_text() == COMMIT

        (small_disk / "filler").unlink()
        hub.trouble = Trouble()
        engine.run(engine.parse(f"resume {job}"))
        finish(engine, job)
        assert hub.downloads("model.safetensors")[-1].endswith(f"bytes={came}-{len(weights) - 1}")
        assert (Path(engine.workspace.models.get("second").folder) / "model.safetensors").read_bytes() == weights and not part.exists()
    finally:
        engine.close(5)
        hub.shutdown()


def test_a_chat_on_a_full_disk_loses_nothing_that_was_said(small_disk: Path, tmp_path: Path) -> None:
    home = small_disk / "home"
    write_gguf(talkative(chat_model(tmp_path / "tiny")), tmp_path / "small.gguf", "F32")
    engine = Engine(home, everything=True)

    def chat(text: str, heard: list[Event] | None = None) -> str:
        line = f"chat --model small --temperature 0 --max-tokens 40 {text}"
        return str(engine.run(engine.parse(line), heard.append if heard is not None else None).data["answer"])

    def said() -> list[tuple[str, str]]:
        return [(message.role, message.text) for message in engine.history("main")]

    try:
        finish(engine, engine.run(engine.parse(f"pull {tmp_path / 'small.gguf'} --name small")).data["job"])
        chat("hello")
        before = said()
        filler = fill(small_disk)
        with pytest.raises(DiskFull, match=str(home / "bittern.db")) as caught:
            chat("are you there?")
        assert "Free some space" in caught.value.hint and said() == before
        filler.unlink()
        assert chat("are you there?") and len(said()) == 4

        # It fills while an answer comes: the words come all the same, and the end says that they are not kept.
        before, heard = said(), list[str]()

        def fill_then(event: Event) -> None:
            if isinstance(event, TokenDelta):
                heard.append(event.text)
                if len(heard) == 1:
                    fill(small_disk)

        with pytest.raises(DiskFull, match="The answer came, but only a part of it is kept") as caught:
            engine.run(engine.parse("chat --model small --temperature 0 --max-tokens 40 and now?"), fill_then)
        assert "regenerate" in caught.value.hint and len(heard) > 20
        assert said() == [*before, ("user", "and now?"), ("assistant", heard[0])]

        # Opened anew, everything is there to look at, by the room that was kept back; and the next start makes it anew.
        engine.close(5)
        (small_disk / "filler").unlink()
        fill(small_disk)
        told = bittern(home, "sessions")
        assert told.returncode == 0, told.stdout + told.stderr
        assert json.loads(told.stdout)["sessions"][0]["count"] == len(before) + 2
        (small_disk / "filler").unlink()
        engine = Engine(home, everything=True)
        assert engine.workspace.paths.reserve.stat().st_size == 1 << 20
        assert engine.run(engine.parse("regenerate --temperature 0 --max-tokens 40")).data["answer"] == "".join(heard)
        assert engine.workspace.database.row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
    finally:
        engine.close(5)
