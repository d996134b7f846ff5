"""A disk that really fills up in the middle of a training: a clear error, and nothing lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB; the test is skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


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
