"""Where the files of one commit lie in the Hub's own cache, laid out as its client does, and whether they came whole."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.errors import HubError
from engine.hub.cache import cache_folder
from engine.hub.probe import endpoint

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a repository. ``hash`` is the SHA-256 of a large file, else git's SHA-1 of the blob, or empty where the
    server tells neither; ``bytes`` its size."""

    name: str
    bytes: int
    hash: str


class Places:
    """The files of ``repository`` at the commit ``sha``; ``kind`` is ``model`` or ``dataset``. ``folder`` is the snapshot, which
    names them; the bytes lie in ``base``."""

    def __init__(self, repository: str, sha: str, kind: str) -> None:
        self._repository, self._sha, self._kind = repository, sha, kind
        self.base = cache_folder() / f"{kind}s--{repository.replace('/', '--')}"
        self.folder = self.base / "snapshots" / sha

    def url(self, file: Remote) -> str:
        lead = "datasets/" if self._kind == "dataset" else ""
        return f"{endpoint()}/{lead}{self._repository}/resolve/{self._sha}/{quote(file.name)}"

    def pointer(self, file: Remote) -> Path:
        """A file by the name that it has in the snapshot."""
        return self.folder / file.name

    def blob(self, file: Remote) -> Path:
        """Its bytes, once all have come."""
        return self.base / "blobs" / (file.hash or hashlib.sha256(f"{self._sha}/{file.name}".encode()).hexdigest())

    def part(self, file: Remote) -> Path:
        """Those that have come so far."""
        blob = self.blob(file)
        return blob.with_name(f"{blob.name}.part")

    def here(self, file: Remote) -> int:
        """How many bytes of a file are on this disk already."""
        for path in (self.pointer(file), self.blob(file), self.part(file)):
            if path.is_file():
                return min(path.stat().st_size, file.bytes)
        return 0

    def link(self, file: Remote) -> None:
        """The snapshot's name for a blob: a link, as the Hub's client makes it, or the file itself where links can't be.

        Raises ``HubError`` for a name that leads out of the repository's folder.
        """
        blob, pointer = self.blob(file), self.pointer(file)
        if not pointer.parent.resolve().is_relative_to(self.base.resolve()):
            raise HubError(f"{self._repository} has a file that leads out of its folder: {pointer.name}.", "Do not use it.")
        if pointer.is_file():
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:
            blob.replace(pointer)

    def keep_reference(self, revision: str) -> None:
        """Remember which commit a branch or tag was, as the Hub's client does."""
        path = self.base / "refs" / (revision or "main")
        if revision != self._sha and path.resolve().is_relative_to(self.base.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.with_name(f".{path.name}.bittern")
            try:  # On a full disk the reference that is there stays.
                whole.write_text(self._sha, "ascii")
                whole.replace(path)
            finally:
                whole.unlink(missing_ok=True)


class Digest:
    """The running hash of a file, ``at`` bytes into it."""

    def __init__(self, file: Remote) -> None:
        self._file = file
        self.reset()

    def reset(self) -> None:
        self.at = 0
        self._hash: Any = hashlib.sha1(usedforsecurity=False) if len(self._file.hash) == 40 else hashlib.sha256()
        if len(self._file.hash) == 40:  # git hashes a header before the bytes
            self._hash.update(b"blob %d\0" % self._file.bytes)

    def add(self, chunk: bytes | memoryview) -> None:
        self._hash.update(chunk)
        self.at += len(chunk)

    def compare(self, part: Path) -> None:
        """Raises ``HubError`` and removes ``part`` where it is not the file that was announced."""
        found = self._hash.hexdigest()
        if len(self._file.hash) in (40, 64) and found != self._file.hash:
            part.unlink()
            raise HubError(
                f"{self._file.name} arrived damaged: its hash is {found}, not {self._file.hash}.",
                "Nothing of it was used. Resume this job: it is fetched anew. If it happens again, a proxy may change what it passes on.",
            )
