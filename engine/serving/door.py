"""The door: what the world sees of a served model. It checks the token, hands the request on, and counts."""

from __future__ import annotations

import hmac
import json
import select
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from engine.errors import ModelError
from engine.serving.media import addresses
from engine.serving.upstream import Here

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from engine.serving.figures import Figures, Request
    from engine.serving.upstream import Remote

LARGEST = 32 << 20
"""Bytes of a request at most."""
CONNECTIONS = 128
"""Connections at a time; more are told to come back."""
GONE = 499
"""Written down for a client that left before the end."""
KNOWN = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


class Refused(Exception):
    """A request that is answered with an error, in OpenAI's form."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Served(NamedTuple):
    """What stands behind the door. ``name`` is what clients call the model; ``created`` in seconds since the epoch;
    ``sees``: pictures may go along."""

    name: str
    upstream: Here | Remote
    token: str
    figures: Figures
    created: int
    sees: bool = False


class Door(ThreadingHTTPServer):
    """Listens at once; ``serve_forever`` answers, each connection on a thread of its own."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, host: str, port: int, served: Served) -> None:
        """Raises ``OSError`` when the address can't be had."""
        self.served = served
        self.room = threading.BoundedSemaphore(CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no news: the request's line says so."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "bittern"
    sys_version = ""
    timeout = 75
    """Seconds that a connection may stand idle."""
    disable_nagle_algorithm = True
    server: Door

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """What is worth saying is in the figures."""

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def do_DELETE(self) -> None:
        self._take()

    def do_OPTIONS(self) -> None:
        self._take()

    def _take(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/health" and self.command == "GET":
            # Watchers ask every few seconds: not worth a line each.
            self._json(200, {"status": "ok"})
            return
        shown = path if path in (*KNOWN, "/v1/models") else "/…"
        with self.server.served.figures.request(self.command if self.command in ("GET", "POST") else "OTHER", shown) as request:
            self._begun = False
            try:
                self._answer(path, request)
            except Refused as refused:
                self._refuse(request, refused)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                request.status = GONE
                self.close_connection = True
            except (ModelError, OSError, HTTPException):
                self._refuse(request, Refused(502, "The model's server does not answer.", "upstream_error"))

    def _refuse(self, request: Request, refused: Refused) -> None:
        request.status = refused.status
        self.close_connection = True
        if not self._begun:
            with suppress(OSError):
                kind = "server_error" if refused.status >= 500 else "invalid_request_error"
                self._json(refused.status, {"error": {"message": refused.message, "type": kind, "param": None, "code": refused.code}})

    def _answer(self, path: str, request: Request) -> None:
        served = self.server.served
        self._check_token(served.token)
        if not self.server.room.acquire(blocking=False):
            raise Refused(503, f"More than {CONNECTIONS} requests at a time.", "overloaded")
        try:
            if self.command == "GET":
                self._list_models(path, request)
                return
            if self.command != "POST":
                raise Refused(405, f"{self.command} is not understood here.", "method_not_allowed")
            if path not in served.upstream.paths:
                raise self._unknown(path)
            body = self._body()
            asked = body.get("model")
            if asked not in (None, "", served.name):
                raise Refused(404, f"The model {asked!s:.100} is not served here: this is {served.name}.", "model_not_found")
            for address in addresses(body):
                if not served.sees:
                    raise Refused(400, f"{served.name} does not see: leave the picture out.", "no_pictures")
                if not address.startswith("data:"):
                    raise Refused(400, f"A picture goes along as data (data:image/png;base64,…), not as {address:.100}.", "invalid_image_url")
            body["model"] = served.upstream.model_id
            if isinstance(served.upstream, Here):
                self._answer_here(served.upstream, path, body, request)
            else:
                self._hand_on(served.upstream, path, body, request)
        finally:
            self.server.room.release()

    def _check_token(self, token: str) -> None:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise Refused(401, "Send the server's token: Authorization: Bearer TOKEN.", "invalid_api_key")

    def _unknown(self, path: str) -> Refused:
        served = self.server.served
        if path in KNOWN:
            return Refused(404, f"{served.name} does not answer {path}; it answers {', '.join(served.upstream.paths)}.", "not_supported")
        return Refused(404, "There is nothing at this address.", "not_found")

    def _list_models(self, path: str, request: Request) -> None:
        served = self.server.served
        model = {"id": served.name, "object": "model", "created": served.created, "owned_by": "bittern"}
        if path == "/v1/models":
            self._json(200, {"object": "list", "data": [model]})
        elif path == f"/v1/models/{served.name}":
            self._json(200, model)
        else:
            raise Refused(404, "There is nothing at this address.", "not_found")
        request.status = 200

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            raise Refused(411, "Send the length of the body: Content-Length.", "length_required")
        if int(length) > LARGEST:
            raise Refused(413, f"A request may have {LARGEST >> 20} MB at most.", "too_large")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(400, "The body is not JSON.", "invalid_json") from None
        if not isinstance(body, dict):
            raise Refused(400, "The body must be a JSON object.", "invalid_json")
        return body

    def _answer_here(self, upstream: Here, path: str, body: dict[str, Any], request: Request) -> None:
        try:
            found = upstream.answer(path, body)
        except ValueError as error:
            raise Refused(400, f"{error}.", "invalid_value") from None
        self._json(200, found)
        request.status = 200

    def _hand_on(self, upstream: Remote, path: str, body: dict[str, Any], request: Request) -> None:
        connection = upstream.connect()
        try:
            data = json.dumps(body).encode()
            connection.request("POST", path, data, {"Content-Type": "application/json", **upstream.headers()})
            self._wait(connection)
            answer = connection.getresponse()
            if "event-stream" in (answer.getheader("Content-Type") or ""):
                self._stream(answer, request)
            else:
                self._whole(answer, request)
        finally:
            # The engine stops writing for a client that is gone.
            connection.close()

    def _wait(self, connection: HTTPConnection) -> None:
        """Until the engine begins to answer. Raises ``ConnectionResetError`` when the client leaves first."""
        while True:
            ready, _, _ = select.select([connection.sock, self.connection], [], [], 60)
            if connection.sock in ready:
                return
            if self.connection in ready:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    raise ConnectionResetError
                time.sleep(0.02)  # it sends its next request already: that can wait

    def _whole(self, answer: HTTPResponse, request: Request) -> None:
        data = self._renamed(answer.read())
        if answer.status == 200:
            with suppress(ValueError, AttributeError, TypeError):
                usage = json.loads(data).get("usage") or {}
                request.tokens = int(usage.get("completion_tokens") or usage.get("output_tokens") or 0)
                self.server.served.figures.piece(request.tokens)
        request.status = answer.status
        self._send(answer.status, data, answer.getheader("Content-Type") or "application/json")

    def _stream(self, answer: HTTPResponse, request: Request) -> None:
        self._begun = True
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        event = b""
        while line := answer.readline():
            event += line
            if line.strip():
                continue
            self._chunk(self._renamed(event))
            if _writes(event):
                request.tokens += 1
                self.server.served.figures.piece()
            event = b""
        if event:
            self._chunk(self._renamed(event))
        self.wfile.write(b"0\r\n\r\n")
        request.status = answer.status

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%X\r\n%s\r\n" % (len(data), data))

    def _renamed(self, data: bytes) -> bytes:
        """The model by the name it has here: an engine may call it by a path of this machine."""
        served = self.server.served
        theirs, ours = served.upstream.model_id, served.name
        if theirs == ours:
            return data
        return data.replace(f"{theirs}@main".encode(), ours.encode()).replace(theirs.encode(), ours.encode())

    def _json(self, status: int, data: dict[str, Any]) -> None:
        self._send(status, json.dumps(data, ensure_ascii=False).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _writes(event: bytes) -> bool:
    """Whether an event of a stream carries text: engines send one for each token, or for a few."""
    if b'"delta"' in event:
        return b'"content":"' in event.replace(b": ", b":") and b'"content":""' not in event.replace(b": ", b":")
    return b'"text":' in event and b'"finish_reason":"' not in event.replace(b": ", b":")
