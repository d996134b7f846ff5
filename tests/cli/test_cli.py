"""The command line as a person or a script uses it: a process, its output, its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.errors import explain, from_dict
from engine.events import JobProgress
from engine.results import Table
from tui.cli import Options, read_options
from tui.printed import describe, draw, duration

if TYPE_CHECKING:
    from pathlib import Path


def bittern(home: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", "--workspace", str(home), *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )  # type: ignore[call-overload, no-any-return]


def test_options_stand_before_the_verb_and_json_after_it_too() -> None:
    assert read_options(["--workspace", "a", "--json", "jobs", "--state", "done"]).words == ["jobs", "--state", "done"]
    assert read_options(["jobs", "--json"]) == Options(json=True, words=["jobs"])
    assert read_options(["ask", "--", "--json"]).json is False
    with pytest.raises(ValueError, match="--wrkspace"):
        read_options(["--wrkspace", "a"])


def test_without_a_terminal_the_screen_says_so_and_names_the_headless_way(home: Path) -> None:
    done = bittern(home)
    assert done.returncode == 2
    assert "bittern tour" in done.stderr and "--json" in done.stderr
    assert done.stdout == ""


def test_help_lists_every_verb_and_explains_one(home: Path) -> None:
    from engine.commands.registry import VERBS

    everything = bittern(home, "help")
    assert everything.returncode == 0
    assert all(f"\n  {verb} " in everything.stdout for verb in [*VERBS, "tour", "work"])
    one = bittern(home, "resume", "--help")
    assert one.stdout.startswith("resume JOB")


def test_results_go_to_stdout_and_errors_to_stderr_with_the_status(home: Path) -> None:
    good = bittern(home, "jobs")
    assert (good.returncode, good.stderr) == (0, "")
    wrong = bittern(home, "jbos")
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "Did you mean job" in wrong.stderr and "^^^^" in wrong.stderr
    missing = bittern(home, "job", "12")
    assert missing.returncode == 2
    assert "no job 12" in missing.stderr
    assert "Traceback" not in wrong.stderr + missing.stderr


def test_json_is_one_object_with_stable_keys(home: Path) -> None:
    good = json.loads(bittern(home, "--json", "jobs").stdout)
    assert good["jobs"] == []
    bad = bittern(home, "--json", "nothing")
    assert bad.returncode == 2
    assert set(json.loads(bad.stdout)) >= {"error", "title", "message", "hint", "line", "start", "end"}


def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "tui", "--workspace", str(home), "help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.wait(60)
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_workspace_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bittern(tmp_path / "file" / "home", "jobs")
    assert done.returncode == 1
    assert "--workspace" in done.stderr and "Traceback" not in done.stderr


def test_a_damaged_database_and_a_wrong_setting_are_named(home: Path) -> None:
    home.mkdir()
    (home / "bittern.db").write_bytes(b"not a database" * 100)
    done = bittern(home, "jobs")
    assert done.returncode == 1
    assert "bittern.db" in done.stderr and "Traceback" not in done.stderr
    (home / "bittern.db").unlink()
    (home / "settings.toml").write_text('runner = "rocket"\n')
    done = bittern(home, "jobs")
    assert done.returncode == 1
    assert "runner" in done.stderr and "settings.toml" in done.stderr


def test_a_workspace_from_a_newer_version_is_left_alone(home: Path) -> None:
    import sqlite3

    bittern(home, "jobs")
    with sqlite3.connect(home / "bittern.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    done = bittern(home, "jobs")
    assert done.returncode == 1
    assert "newer Bittern" in done.stderr


def test_progress_and_tables_in_words() -> None:
    event = JobProgress(done=30, total=120, unit="steps", rate=2.5, eta=36.0, note="training")
    assert describe(event) == "training, 30 of 120 steps (25%), 2.5 steps/s, 36 s left"
    assert [duration(seconds) for seconds in (8.4, 200, 4800)] == ["8 s", "3 min", "1 h 20 min"]
    drawn = draw(Table(["a", "text"], [["1", "x" * 200], ["2", "\x1b[31mred\nlines"]]), 60)
    assert "\x1b" not in drawn
    assert all(len(line) <= 60 for line in drawn.splitlines())
    assert "red lines" in drawn
    told = "The best weights are kept: those of step 60, held-out loss 5.12; it went to step 80."
    whole = draw(Table(["time", "what"], [["12:16", told], ["12:17", "done"]], whole=True), 60).splitlines()
    assert all(len(line) <= 60 for line in whole) and whole[-1] == "12:17  done"
    assert " ".join(" ".join(line.split()) for line in whole[2:-1]) == f"12:16  {told}".replace("  ", " "), "no word of a log is cut off"


def test_what_was_refused_is_not_told_as_an_accident(home: Path) -> None:
    assert bittern(home, "predict", "nobody", "hello").returncode == 2
    refused = bittern(home, "versus", "one", "Which?")
    assert refused.returncode == 1 and refused.stderr.startswith("That can't be done: “one” names 1 sides.")
    assert explain(KeyError("x")).title == "Something went wrong" and from_dict(explain(KeyError("x")).as_dict()).title == "Something went wrong"


def test_in_a_terminal_plain_bittern_opens_the_screen_and_quits(home: Path) -> None:
    """A real pseudo-terminal: the screen appears, and Ctrl+Q gives the terminal back."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30", BITTERN_HUB="off", BITTERN_STARTER_DIR="/nowhere")
        os.execv(sys.executable, [sys.executable, "-m", "tui", "--workspace", str(home)])
    seen = _read_until(terminal, b"Datasets", 30)
    assert b"Datasets" in seen
    os.write(terminal, b"\x11")
    _, status = _wait(pid, terminal, 40)
    assert os.waitstatus_to_exitcode(status) == 0


def _read_until(terminal: int, marker: bytes, seconds: float) -> bytes:
    import select
    import time

    seen, deadline = b"", time.monotonic() + seconds
    while marker not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536)
    return seen


def _wait(pid: int, terminal: int, seconds: float) -> tuple[int, int]:
    import select
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # The terminal is read on: a process that cannot write cannot quit.
        if select.select([terminal], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                os.read(terminal, 65536)
        done = os.waitpid(pid, os.WNOHANG)
        if done[0]:
            return done
    os.kill(pid, 9)
    raise AssertionError("the screen did not quit")


def test_a_broken_file_offers_a_line_to_try(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("x,y\n1,2\n3,4,5\n6,7\n", encoding="utf-8")
    failed = bittern(home, "add", str(file))
    line = f"add {file} --name bad --bad skip"
    assert failed.returncode == 1 and not failed.stdout and f"try: {line}  (leave out the bad row and list it)" in failed.stderr
    told = json.loads(bittern(home, "--json", "add", str(file)).stdout)
    assert told["repairs"] == [{"label": "leave out the bad row and list it", "line": line}]
    assert bittern(home, *told["repairs"][0]["line"].split()).returncode == 0


def test_a_job_that_waits_for_another_process_says_for_what(home: Path, tmp_path: Path) -> None:
    from engine.store.workspace import Workspace

    (tmp_path / "notes.csv").write_text("text\nthe lamp is on\nthe lamp is off\n", "utf-8")
    assert bittern(home, "add", str(tmp_path / "notes.csv"), "--test", "0").returncode == 0
    workspace = Workspace(home)
    other = workspace.jobs.add("train", {}, "train heron on fish", "compute")
    assert workspace.jobs.claim("compute", only=other.id)
    words = [sys.executable, "-m", "tui", "--workspace", str(home), "check", "notes"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "behind" not in said and (line := process.stderr.readline()):
            said = line
        assert said == f"check notes: queued as job {int(other.id) + 1}, behind job {other.id} (train heron on fish).\n"
        workspace.jobs.finish(other.id, "cancelled")
        process.communicate(timeout=60)
    assert process.returncode == 0
    workspace.close()
