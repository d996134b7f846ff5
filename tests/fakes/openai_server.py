"""A small HTTP server that speaks OpenAI's protocol: it echoes, or fails in the way that the model's name says."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS = ("echo", "dies", "slow", "calls", "thinks", "403", "429", "500", "503", "garbage", "refuses")


class Refused(RuntimeError):
    """What an ``answer`` raises to refuse with a status other than 500."""

    def __init__(self, status: int, said: str = "", **headers: str) -> None:
        super().__init__(said or f"that is {status}")
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}


class Server(ThreadingHTTPServer):
    """``requests`` are the bodies that came; ``hung_up`` is set when a reader of ``slow`` has gone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.hung_up = threading.Event()
        self.lock = ""
        """The only key that opens, where there is one."""
        self.answer: Callable[[dict[str, Any]], str] | None = None
        """What it says to a request, where it does not echo; a ``RuntimeError`` becomes status 500, a ``Refused`` its own."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if not self._opens():
            return
        self._json(200, {"data": [{"id": name} for name in MODELS]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._opens():
            return
        self.server.requests.append(body)
        self.server.keys.append(self.headers.get("Authorization", ""))
        model = body["model"]
        if model.isdigit():
            self._json(int(model), {"error": {"message": f"that is {model}\x1b[31m, said the server"}})
        elif model == "refuses" and "top_k" in body:
            self._json(400, {"error": {"message": "unknown option: top_k"}})
        else:
            try:
                said = self.server.answer(body) if self.server.answer else None
            except RuntimeError as error:
                self._json(getattr(error, "status", 500), {"error": {"message": str(error)}}, getattr(error, "headers", {}))
            else:
                self._stream(model, body, said)

    def _opens(self) -> bool:
        opens = self.server.lock in ("", self.headers.get("Authorization", "").removeprefix("Bearer "))
        if not opens:
            self._json(401, {"error": {"message": f"no such key: {self.headers.get('Authorization', '').removeprefix('Bearer ')}"}})
        return opens

    def _stream(self, model: str, body: dict[str, Any], said: str | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if model == "garbage":
            self.wfile.write(b"data: {nonsense\n\n")
        elif model == "dies":
            for word in ("half ", "an "):
                self._delta({"content": word})
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()  # A reset, as of a process that was killed.
        elif model == "slow":
            try:
                for number in range(600):
                    self._delta({"content": f"{number} "})
                    time.sleep(0.05)
            except OSError:
                self.server.hung_up.set()
        else:
            for delta in self._deltas(model, body) if said is None else [{"content": said}]:
                self._delta(delta)
            self._delta({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _deltas(self, model: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        if model == "thinks":
            return [{"reasoning_content": "Hm"}, {"reasoning_content": "."}, {"content": "Yes"}]
        if model == "calls":
            call = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"city":'}}
            return [{"tool_calls": [call]}, {"tool_calls": [{"index": 0, "function": {"arguments": ' "Graz"}'}}]}]
        return [{"content": json.dumps(body.get("messages", body.get("prompt")))}]

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> None:
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def openai_server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
