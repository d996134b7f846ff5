"""Engines that are programs of their own: transformers serve, vLLM, TGI. They end when this process does."""

from __future__ import annotations

import http.client
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.devices import bf16_pays, cores
from engine.errors import ModelError
from engine.serving.upstream import ANSWER_SECONDS, CHAT, UnixConnection, answers

if TYPE_CHECKING:
    from engine.settings import Settings

BLOCKS = 128
"""Blocks of the shared KV cache of transformers' continuous batching, 256 tokens each."""
PROGRAMS = {"vllm": "vllm", "tgi": "text-generation-launcher"}
HOW_TO_GET = {
    "transformers": "Install the extra: pip install 'bittern[serve]'",
    "vllm": "It needs a GPU: pip install vllm, in an environment of its own whose bin folder is on PATH.",
    "tgi": "It needs a GPU: see huggingface.co/docs/text-generation-inference; text-generation-launcher must be on PATH.",
}


def check_installed(engine: str) -> None:
    """Raises ``ModelError`` with how to get an engine that is not here."""
    if engine == "transformers":
        missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
        if missing:
            raise ModelError(f"transformers serve needs {', '.join(missing)}.", HOW_TO_GET[engine])
    elif engine in PROGRAMS and shutil.which(PROGRAMS[engine]) is None:
        raise ModelError(f"{engine} is not installed: there is no {PROGRAMS[engine]} on PATH.", HOW_TO_GET[engine])


class ServerProcess:
    """A server in a process of its own, over a Unix socket or a loopback port; what it prints is in ``log``."""

    paths: tuple[str, ...] = (*CHAT, "/v1/responses")

    def __init__(self, engine: str, command: list[str], place: str, model_id: str, log: Path, environment: dict[str, str], key: str = "") -> None:
        """``place`` is a socket's path or a port."""
        self.engine = engine
        self.model_id = model_id
        self.note = engine
        self._log, self._key, self._place = log, key, place
        self._private: Path | None = None
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine.serving.leash", *command],
                stdin=subprocess.PIPE, stdout=output, stderr=output, env={**os.environ, **environment},
            )  # fmt: skip

    def keep(self, folder: Path) -> ServerProcess:
        """A folder that goes when the server does."""
        self._private = folder
        return self

    def connect(self) -> http.client.HTTPConnection:
        return self._connection(ANSWER_SECONDS)

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._place.isdigit():
            return http.client.HTTPConnection("127.0.0.1", int(self._place), timeout=seconds)
        return UnixConnection(self._place, seconds)

    def healthy(self) -> bool:
        return answers(self._connection(5), "/health", self.headers())

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def check(self) -> None:
        if (code := self._process.poll()) is not None:
            lines = [line for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
            said = lines[-1].strip()[:300] if lines else "nothing"
            raise ModelError(f"{self.engine} ended (exit code {code}): {said}", f"Its output is in {self._log}.")

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)


def transformers_serve(folder: Path, adapter: Path | None, settings: Settings, parallel: int, log: Path) -> ServerProcess:
    """``transformers serve`` over a socket in a folder that only this user can enter.

    With ``parallel`` over 1 it batches requests as tokens come (continuous batching).
    """
    private = Path(tempfile.mkdtemp(prefix="bittern-serve-"))
    # Its own name for the model must hold no “@”, which it takes for a revision: so never the workspace's path.
    served = private / "model"
    if adapter is None:
        served.symlink_to(folder, target_is_directory=True)
    else:
        _with_adapter(served, folder, adapter)
    place = str(private / "http.sock") if sys.platform != "win32" else str(_free_port())
    threads = settings.threads or cores()
    command = [sys.executable, "-m", "engine.serving.torch_serve", place, str(served), "bfloat16" if bf16_pays() else "float32", str(threads)]
    command += [str(BLOCKS)] if parallel > 1 else []
    # /v1/models of transformers serve fails without a cache folder; the Hub is never asked.
    started = ServerProcess("transformers serve", command, place, str(served), log, {"HF_HUB_OFFLINE": "1"})
    batching = "continuous batching" if parallel > 1 else "one request at a time"
    started.note = f"transformers serve, {batching}, {threads} threads"
    return started.keep(private)


def _with_adapter(served: Path, folder: Path, adapter: Path) -> None:
    """A folder that transformers takes for a whole model with its adapter beside it, whatever path it was trained at."""
    served.mkdir()
    for file in (*folder.iterdir(), *adapter.iterdir()):
        if file.is_file():
            (served / file.name).unlink(missing_ok=True)
            (served / file.name).symlink_to(file)


def other(engine: str, name: str, folder: Path, adapter: Path | None, parallel: int, context: int, log: Path) -> ServerProcess:
    """vLLM or TGI, on a loopback port, with a key of its own. Both are untested here: they need a GPU."""
    key, port = secrets.token_urlsafe(24), str(_free_port())
    if engine == "vllm":
        command = [
            "vllm",
            "serve",
            str(folder),
            "--host",
            "127.0.0.1",
            "--port",
            port,
            "--served-model-name",
            name if adapter is None else f"{name}-base",
        ]
        command += ["--max-num-seqs", str(parallel), "--max-model-len", str(context)]
        command += ["--enable-lora", "--lora-modules", f"{name}={adapter}"] if adapter is not None else []
        return ServerProcess("vLLM", command, port, name, log, {"VLLM_API_KEY": key}, key)
    command = ["text-generation-launcher", "--model-id", str(folder), "--hostname", "127.0.0.1", "--port", port]
    command += ["--max-concurrent-requests", str(max(parallel, 4)), "--max-total-tokens", str(context), "--max-input-tokens", str(context - 1)]
    command += ["--lora-adapters", f"{name}={adapter}"] if adapter is not None else []
    return ServerProcess("TGI", command, port, name if adapter is not None else str(folder), log, {"API_KEY": key}, key)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
