"""A small Hub on loopback: what the client asks for when it pulls a model or a dataset, and the refusals it may meet."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from typing import Any

COMMIT = "a" * 40


class Hub(http.server.ThreadingHTTPServer):
    """Serves ``files`` of any repository; ``org/gated`` answers 403, ``org/private`` 401, ``org/missing`` 404.

    ``cut_after``: the first download of a larger file breaks off after so many bytes.
    """

    def __init__(self, files: dict[str, bytes], cut_after: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut_after, self.asked = files, cut_after, list[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


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
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('range', '')}".strip())
        for name, status in (("gated", 403), ("private", 401), ("missing", 404)):
            if f"org/{name}" in self.path:
                code = {403: "GatedRepo", 401: "RepoNotFound", 404: "RepoNotFound"}[status]
                return self.say(json.dumps({"error": name}).encode(), status, {"X-Error-Code": code})
        if match := re.match(r"^/(?:datasets/)?[^/]+/[^/]+/resolve/[^/]+/([^?]+)", self.path):
            return self.file(match[1])
        if re.match(r"^/api/(models|datasets)/[^/]+/[^/?]+(/revision/[^?]+)?(\?|$)", self.path):
            return self.say(json.dumps(self.info()).encode())
        if match := re.match(r"^/api/(?:models|datasets)/[^/]+/[^/]+/(?:tree|paths-info)/[^/?]+/?([^?]*)", self.path):
            return self.tree(match[1])
        if self.path.startswith("/api/models"):
            return self.say(b"[]")
        return self.say(b"{}", 404)

    def info(self) -> dict[str, Any]:
        files = [{"rfilename": name, "size": len(data), "blobId": oid(data)} for name, data in self.server.files.items()]
        return {"_id": "1", "id": "org/tiny", "sha": COMMIT, "private": False, "downloads": 1, "likes": 0, "tags": [], "siblings": files}

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
        data = self.server.files.get(name)
        if data is None:
            return self.say(b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        start = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("range", ""))) else 0
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{oid(data)}"', "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if self.command == "GET" and 0 < self.server.cut_after < len(data) - start:
            keep, self.server.cut_after = self.server.cut_after, 0
            self.send_response(206 if start else 200)
            for key, value in {**headers, "Content-Length": str(len(data) - start)}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[start : start + keep])
            self.close_connection = True
            return None
        return self.say(data[start:], 206 if start else 200, headers)

    def say(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
