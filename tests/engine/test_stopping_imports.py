"""A stop is answered while a file of the Hub is on its way, and while a split is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.data.reading import add
from engine.errors import Stopped
from engine.events import JobProgress
from tests.fakes.adding import Bench, write
from tests.fakes.hub import Handler, Hub

if TYPE_CHECKING:
    from pathlib import Path

    from engine.events import Event

SCRIPT = """
import json, sys, threading
from pathlib import Path
from engine.commands.parse import from_line
from engine.engine import Engine
from engine.errors import Stopped
from engine.jobs.context import CancelToken, JobContext
engine, token = Engine(Path(sys.argv[1]), working=False), CancelToken()
job = JobContext("1", engine.workspace, lambda event: None, token, resumed=False)
def asked():
    sys.stdin.readline()
    token.ask("cancel")
threading.Thread(target=asked, daemon=True).start()
try:
    from_line("add org/set").work(job)
    print(json.dumps("not stopped"))
except Stopped:
    print(json.dumps([record.name for record in engine.datasets()]))
sys.stdout.flush()
engine.close()
"""


class Stalled(Hub):
    """Sends the beginning of a file, asks for the stop, and then nothing more until the client is gone."""

    child: subprocess.Popen[str] | None = None
    stuck = False


class Slow(Handler):
    server: Stalled

    def file(self, name: str) -> None:
        if self.command == "GET" and name == "train.csv":
            data = self.server.files[name]
            self.send_response(200)
            for key, value in {"X-Repo-Commit": "a" * 40, "ETag": '"x"', "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[:100])
            self.wfile.flush()
            self.server.stuck = True
            child = self.server.child
            assert child and child.stdin
            child.stdin.write("stop\n")
            child.stdin.flush()
            child.wait(60)
            self.close_connection = True
            return
        super().file(name)


@pytest.mark.slow
def test_a_download_that_stands_still_is_stopped(home: Path) -> None:
    hub = Stalled({"train.csv": b"text,label\n" + b"hello there everybody,a\n" * 1000})
    hub.RequestHandlerClass = Slow
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home / "hf")}
    hub.child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home)], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert hub.child.stdout
    # The server goes on only when the client has ended: without an answer to the stop this would wait for ever.
    assert json.loads(hub.child.stdout.readline()) == [] and hub.stuck
    assert hub.child.wait(60) == 0
    hub.child.communicate()


def test_the_writing_of_one_split_is_stopped(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add, "ROWS", 10)
    bench = Bench(home)
    file = write(tmp_path / "long.csv", "text,n\n" + "".join(f"line {n},{n}\n" for n in range(5000)))
    real, written = add._written, list[int]()

    def counted(*arguments: object) -> object:
        for count in real(*arguments):  # type: ignore[arg-type]
            written.append(count)
            if len(written) == 3:
                bench.token.ask("cancel")
            yield count

    monkeypatch.setattr(add, "_written", counted)
    with pytest.raises(Stopped):
        bench.add(file)
    assert written == [10, 10, 10], "it looks before each batch"
    assert not bench.workspace.datasets.all() and not list(bench.workspace.paths.datasets.glob("*/*"))


def test_what_is_written_says_how_far_it_is(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import load_from_disk

    monkeypatch.setattr(add, "ROWS", 7)
    bench = Bench(home)
    record = bench.add(write(tmp_path / "w.csv", "text,n\n" + "".join(f"line {n},{n}\n" for n in range(50))), test=0)
    heard: list[Event] = [event for event in bench.events if isinstance(event, JobProgress) and event.note == "writing"]
    assert heard
    again = load_from_disk(f"{record.folder}/train")
    assert again["n"][:] == list(range(50)), "`datasets` reads it as its own"
