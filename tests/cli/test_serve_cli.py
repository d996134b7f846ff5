"""``bittern serve`` in a shell of its own: Ctrl+C ends it cleanly, and the token is in no output and no log."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.store.workspace import Workspace
from tests.fakes.encoder import encoder
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from engine.engine import Engine

pytestmark = pytest.mark.slow


def test_ctrl_c_ends_a_server_with_its_port_and_its_processes(engine: Engine, home: Path, tmp_path: Path) -> None:
    (tmp_path / "enc").mkdir()
    finish(engine, engine.run(engine.parse(f"pull {encoder(tmp_path / 'enc')} --name enc")).data["job"])
    engine.close(5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = (tmp_path / "said.txt").open("wb+")
    words = [sys.executable, "-m", "tui", "--workspace", str(home), "serve", "enc", "--port", str(port)]
    surroundings = {name: value for name, value in os.environ.items() if name != "BITTERN_RUNNER"}
    # A shell starts what it puts into the background with Ctrl+C ignored, and that is handed on; a terminal's is not.
    hears = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, env=surroundings,
        preexec_fn=hears,  # noqa: PLW1509 -- it takes no lock
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while not _healthy(port):
            assert process.poll() is None, _read(said)
            assert time.monotonic() < deadline, _read(said)
            time.sleep(0.1)
        [secret] = [file.read_text() for file in home.rglob("*") if file.is_file() and "token" in file.name]
        # A terminal sends it to every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        assert process.poll() == 0, _read(said)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    told = _read(said)
    assert "Stopping the server" in told and "Traceback" not in told
    assert not _left(process.pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert len(secret) > 20 and secret not in told
    for file in home.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes() or "token" in file.name, file
    workspace = Workspace(home)
    assert [(record.verb, record.state) for record in workspace.jobs.all() if record.verb == "serve"] == [("serve", "done")]
    workspace.close()


def _left(group: int, seconds: float = 20) -> list[str]:
    """The processes of a group that are still there after a while; a dead one that nobody has waited for is not."""
    import psutil

    deadline = time.monotonic() + seconds
    while True:
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(one.pid) == group and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(one.cmdline()))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _healthy(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    except (urllib.error.URLError, OSError):
        return False


def _read(file: object) -> str:
    return Path(file.name).read_text("utf-8", "replace")  # type: ignore[attr-defined]
