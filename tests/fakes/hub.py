"""A small Hub on loopback: what the client asks for when it searches, reads and pulls, and the refusals it may meet."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

COMMIT = "a" * 40
TOKEN = "hf_" + "t" * 34
"""The one token that this Hub knows."""


@dataclass
class Trouble:
    """What goes wrong, a number of times each. ``cut``: an answer for a larger file breaks off after so many bytes;
    ``busy``: 429 with ``retry_after``; ``broken``: 500; ``silent``: seconds without a byte after the
    first 1,000 of a file; ``midway``: what happens when half of a larger file is sent, before the rest is."""

    cut: int = 0
    cuts: int = 1
    busy: int = 0
    retry_after: str = "1"
    broken: int = 0
    silent: float = 0
    ranges: bool = True
    damaged: bool = False
    midway: Callable[[], None] | None = None


class Hub(http.server.ThreadingHTTPServer):
    """Serves ``files`` of any repository at ``COMMIT``; ``org/gated`` answers 403, ``org/private`` 401, ``org/missing``
    404, unless the token is right. ``lfs`` names files with a SHA-256; ``listed`` is what a search finds.

    ``cut_after``: the first download of a larger file breaks off after so many bytes.
    """

    daemon_threads = True
    search_waits = 0.0
    """Seconds before a search is answered."""

    def __init__(
        self, files: dict[str, bytes], cut_after: int = 0, lfs: tuple[str, ...] = (), listed: list[dict[str, Any]] | None = None, **about: Any
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.lfs, self.listed, self.about = files, lfs, listed or [], about
        self.trouble = Trouble(cut=cut_after)
        self.asked = list[str]()
        self.tokens = set[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def downloads(self, name: str) -> list[str]:
        """The requests for a file, each with its range."""
        return [asked for asked in self.asked if asked.startswith("GET") and f"/{name}" in asked and "/resolve/" in asked]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of an answer is what many tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = ""
    server: Hub

    def log_message(self, *arguments: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        self.answer()

    def answer(self) -> None:
        hub, path = self.server, self.path
        hub.asked.append(f"{self.command} {path} {self.headers.get('range', '')}".strip())
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        hub.tokens.add(token)
        if path.startswith("/api/whoami-v2"):
            return self.who(token)
        for name, status in (("gated", 403), ("private", 401), ("missing", 404)):
            if f"org/{name}" in path and token != TOKEN and not (name == "gated" and path.startswith("/api")):
                code = {403: "GatedRepo", 401: "RepoNotFound", 404: "RepoNotFound"}[status]
                return self.say(json.dumps({"error": name}).encode(), status, {"X-Error-Code": code})
        if hub.trouble.busy > 0 and path.rpartition("?")[2] != "limit=1":
            hub.trouble.busy -= 1
            return self.say(b"{}", 429, {"Retry-After": hub.trouble.retry_after})
        if match := re.match(r"^/(?:datasets/)?[^/]+/[^/]+/resolve/[^/]+/([^?]+)", path):
            return self.file(urllib.parse.unquote(match[1]))
        if match := re.match(r"^/api/(models|datasets)/([^/]+/[^/?]+)(?:/revision/([^?]+))?(?:\?|$)", path):
            if match[3] and match[3] not in (COMMIT, "main"):
                return self.say(b'{"error": "no such revision"}', 404, {"X-Error-Code": "RevisionNotFound"})
            return self.say(json.dumps(self.info(match[2])).encode())
        if match := re.match(r"^/api/(?:models|datasets)/[^/]+/[^/]+/(?:tree|paths-info)/[^/?]+/?([^?]*)", path):
            return self.tree(match[1])
        if re.match(r"^/api/(models|datasets)\b", path):
            return self.search()
        return self.say(b"{}", 404)

    def who(self, token: str) -> None:
        if token != TOKEN:
            return self.say(b'{"error": "Invalid username or password."}', 401)
        told = {"name": "heron", "orgs": [{"name": "reeds"}], "auth": {"accessToken": {"displayName": "laptop", "role": "read"}}}
        return self.say(json.dumps(told).encode())

    def search(self) -> None:
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        word = asked.get("search", [""])[0].lower()
        time.sleep(self.server.search_waits)
        found = [item for item in self.server.listed if word in item["id"].lower()]
        return self.say(json.dumps(found[: int(asked.get("limit", ["100"])[0])]).encode())

    def info(self, repository: str) -> dict[str, Any]:
        files = [
            {
                "rfilename": name, "size": len(data), "blobId": oid(data),
                **({"lfs": {"size": len(data), "sha256": sha256(data), "pointerSize": 130}} if name in self.server.lfs else {}),
            }
            for name, data in self.server.files.items()
        ]  # fmt: skip
        about = {"downloads": 1, "likes": 0, "tags": [], "private": False, **self.server.about}
        return {"_id": "1", "id": repository, "sha": COMMIT, "siblings": files, **about}

    def tree(self, folder: str) -> None:
        """A folder's files; of a ``paths-info`` request only those that it names."""
        asked = re.findall(r"[^&]*?paths=([^&]+)|\"([^\"]+\.[^\"]+)\"", self.body)
        named = {first or second for first, second in asked}
        entries = [
            {"type": "file", "path": name, "size": len(data), "oid": oid(data)}
            for name, data in self.server.files.items()
            if (name in named if self.body else name.rpartition("/")[0].startswith(folder))
        ]
        if not self.body and folder and not entries:
            return self.say(b'{"error": "no such folder"}', 404, {"X-Error-Code": "EntryNotFound"})
        return self.say(json.dumps(entries).encode())

    def file(self, name: str) -> None:
        data, trouble = self.server.files.get(name), self.server.trouble
        if data is None:
            return self.say(b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        if trouble.broken > 0:
            trouble.broken -= 1
            return self.say(b"", 500)
        match = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("range", "")) if trouble.ranges else None
        start = int(match[1]) if match else 0
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256(data) if name in self.server.lfs else oid(data)}"', "Accept-Ranges": "bytes"}
        if match:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        status = 206 if match else 200
        if self.command == "GET" and trouble.damaged and len(data) > 1000:
            data = bytes(len(data))
        if self.command == "GET" and trouble.cuts and 0 < trouble.cut < len(data) - start:
            trouble.cuts -= 1
            return self.part(data[start:], trouble.cut, status, headers)
        if self.command == "GET" and trouble.silent and len(data) > 1000:
            return self.part(data[start:], max(0, 1000 - start), status, headers, trouble.silent)
        if self.command == "GET" and trouble.midway and len(data) > 1000:
            half = len(data) // 2 - start
            self.part(data[start:], half, status, headers)
            trouble.midway()
            self.wfile.write(data[start:][half:])
            return None
        return self.say(data[start:], status, headers)

    def part(self, data: bytes, most: int, status: int, headers: dict[str, str], wait: float = 0) -> None:
        """The beginning of an answer; then nothing for ``wait`` seconds, and the connection closes."""
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data[:most])
        self.wfile.flush()
        time.sleep(wait)
        self.close_connection = True

    def say(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def listing(name: str, **values: Any) -> dict[str, Any]:
    """A model or dataset as the Hub lists it."""
    return {
        "_id": name, "id": name, "downloads": 10, "likes": 1, "private": False, "gated": False, "tags": ["license:mit"],
        "lastModified": "2026-05-01T10:00:00.000Z", **values,
    }  # fmt: skip
