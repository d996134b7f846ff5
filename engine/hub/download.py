"""Files of one commit into the Hub's own cache, each checked against its hash.

The Hub's client keeps nothing of a file that broke off. Here the part that has come stays beside the cached files
(``blobs/HASH.part``), and the next request asks for the bytes after it, in this job, in one that is resumed, or in
another one for the same file.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.errors import DiskFull, HubError, explain
from engine.hub.cache import cache_folder
from engine.hub.choose import size
from engine.hub.client import LOOK, bound, explain_hub, pause, wait_of
from engine.hub.places import Digest, Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from engine.hub.places import Remote
    from engine.jobs.context import JobContext

AT_ONCE = 4
"""Files on their way at the same time."""
PIECE = 8 << 30
"""The most that is asked for at once; servers refuse a single answer of more than 50 GB."""
CHUNK = 1 << 18
QUIET = 3.0
"""Seconds without a byte after which the job says so."""
SPARE = 32 << 20
"""Bytes that must stay free."""


class Halted(Exception):
    """A worker's signal to itself: the download is over, well or not."""


class Download:
    """``files`` of ``repository`` at the commit ``sha``; ``kind`` is ``model`` or ``dataset``. :meth:`run` fetches some.

    Workers fetch, and the caller's thread reports and looks whether a stop was asked for. A worker that still waits for
    a silent server when the download is over never writes again: it must hold the lock to write, and looks first.
    """

    def __init__(self, job: JobContext, repository: str, sha: str, files: Sequence[Remote], kind: str = "model") -> None:
        self._job, self._repository = job, repository
        self.places = Places(repository, sha, kind)
        self._files = files
        self._total = sum(file.bytes for file in files)
        self._lock = threading.Lock()
        self._over = False
        self._queue: list[list[Remote]] = []
        self._busy = 0
        self._errors: list[BaseException] = []
        self._moved = time.monotonic()
        self._trouble = ""
        self._wait = 0.0
        self._done = {file.name: self.places.here(file) for file in files}

    def check_room(self) -> None:
        """Raises ``DiskFull`` where what is still to come does not fit."""
        if found := self._short(SPARE):
            raise found

    def _short(self, spare: int = 0) -> DiskFull | None:
        """What is still to come, where it does not fit and leave ``spare`` bytes free."""
        needed = self._total - sum(self._done.values())
        free = shutil.disk_usage(next(folder for folder in (self.places.base, *self.places.base.parents) if folder.exists())).free
        if not needed or needed + spare <= free:
            return None
        here = f", beside the {size(self._total - needed)} that are here" if needed < self._total else ""
        return DiskFull(
            f"{self._repository} needs {size(needed)} more{here}, and {size(free)} are free in {cache_folder()}.",
            "Free some space (`disk` lists what takes it), or set HF_HUB_CACHE to a larger disk. Then resume the job: it goes on where it was.",
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes to this repository's part of the cache meanwhile. Waits; raises ``Stopped``."""
        from filelock import FileLock, Timeout

        path = cache_folder() / ".locks" / self.places.base.name / "bittern.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                self._job.progress(0, None, "bytes", f"waiting: {self._repository} is being downloaded already")
                self._job.token.wait(LOOK)
                self._job.check()
        try:
            self._done = {file.name: self.places.here(file) for file in self._files}
            yield
        finally:
            lock.release()

    def run(self, files: Sequence[Remote]) -> None:
        """Fetch what is missing of these. Raises ``HubError``, ``DiskFull``, ``Stopped``; what has come stays."""
        bound(self._job.workspace.settings)
        (self.places.base / "blobs").mkdir(parents=True, exist_ok=True)
        same: dict[Path, list[Remote]] = {}
        for file in sorted((file for file in files if not self.places.pointer(file).is_file()), key=lambda file: file.bytes):
            same.setdefault(self.places.blob(file), []).append(file)
        self._queue = list(same.values())  # files with the same bytes are one blob, fetched once
        self._moved, self._over = time.monotonic(), False
        self._busy = min(AT_ONCE, len(self._queue))
        for number in range(self._busy):
            threading.Thread(target=self._work, name=f"download-{number}", daemon=True).start()
        try:
            self._watch()
        except OSError as error:  # The job's own notes have no room, perhaps on this very disk.
            if isinstance(explain(error), DiskFull) and (short := self._short()):
                raise short from error
            raise
        finally:
            with self._lock:
                self._over = True

    # -- the caller's thread -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        stall = self._job.workspace.settings.hub_stall
        waited = 0.0
        while True:
            self._job.check()
            with self._lock:
                errors, busy, wait, self._wait = list(self._errors), self._busy, self._wait, 0.0
                done, quiet, trouble = sum(self._done.values()), time.monotonic() - self._moved, self._trouble
            if errors:
                raise self._explained(errors[0])
            if wait:
                waited += wait
                if waited > self._job.workspace.settings.hub_wait:
                    raise HubError(f"The Hub asks to slow down for {wait:.0f} s more.", "Resume this job later: it goes on where it was.")
                pause(self._job, wait, done, self._total)
                self._moved = time.monotonic()
                continue
            if not busy:
                self._job.progress(done, self._total, "bytes", "downloading")
                return
            if quiet > stall:
                raise HubError(
                    f"{self._repository}: nothing has come for {stall:.0f} s{f' ({trouble})' if trouble else ''}. "
                    f"{size(done)} of {size(self._total)} are here.",
                    "Resume this job, or pull it again: it goes on where it was.",
                )
            note = "downloading" if quiet < QUIET else f"nothing has come for {quiet:.0f} s{f': {trouble}' if trouble else ''}"
            self._job.progress(done, self._total, "bytes", note)
            self._job.token.wait(LOOK)

    def _explained(self, error: BaseException) -> BaseException:
        found = explain_hub(error, self._repository)
        return (self._short() or found) if isinstance(found, DiskFull) else found

    # -- the workers -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                with self._lock:
                    if self._over or self._errors or not self._queue:
                        return
                    same = self._queue.pop()
                for file in same:
                    self._fetch(file)
        except Halted:
            return
        except BaseException as error:
            with self._lock:
                self._errors.append(error)
        finally:
            with self._lock:
                self._busy -= 1

    def _fetch(self, file: Remote) -> None:
        blob, part = self.places.blob(file), self.places.part(file)
        if not blob.is_file():
            with part.open("ab", buffering=0) as out:
                digest = self._begin(file, part)
                while digest.at < file.bytes:
                    self._piece(file, out, digest)
            digest.compare(part)
            with self._lock:
                self._look()
                part.replace(blob)
        with self._lock:
            self._look()
            self.places.link(file)
            self._done[file.name] = file.bytes

    def _begin(self, file: Remote, part: Path) -> Digest:
        """The hash of what an earlier attempt has left."""
        digest = Digest(file)
        if part.stat().st_size > file.bytes:
            os.truncate(part, 0)
        with part.open("rb") as kept:
            while chunk := kept.read(CHUNK * 4):
                with self._lock:
                    self._look()
                    self._moved = time.monotonic()
                digest.add(chunk)
        return digest

    def _piece(self, file: Remote, out: BinaryIO, digest: Digest) -> None:
        """Ask for the bytes after those that are here, once; a connection that breaks off is no error yet."""
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status, httpx

        last = min(file.bytes, digest.at + PIECE)
        headers = {**build_hf_headers(library_name="bittern"), "accept-encoding": "identity"}
        if digest.at or last < file.bytes:
            headers["range"] = f"bytes={digest.at}-{last - 1}"
        stall = self._job.workspace.settings.hub_stall
        before = digest.at
        try:
            with get_session().stream(
                "GET", self.places.url(file), headers=headers, timeout=httpx.Timeout(max(1.0, stall / 3), connect=10.0)
            ) as answer:
                if (wait := wait_of(answer.status_code, answer.headers)) is not None:
                    self._rest(wait)
                    return
                if answer.status_code >= 500 or answer.status_code == 408:
                    self._again(f"the Hub answers {answer.status_code}")
                    return
                if answer.status_code != 416:
                    hf_raise_for_status(answer)
                if digest.at and not _continues(answer, digest.at):
                    self._restart(file, out, digest)
                    if answer.status_code != 200:
                        return
                for chunk in answer.iter_bytes():  # as they come: a fixed size would hold bytes back, to be lost with the connection
                    self._put(file, chunk, out, digest)
        except httpx.TransportError as error:
            self._again(f"the connection broke off: {type(error).__name__}", at_once=digest.at > before)
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            self._again("the connection was closed")  # the client drops all of them when one cannot be made

    def _put(self, file: Remote, chunk: bytes, out: BinaryIO, digest: Digest) -> None:
        with self._lock:
            self._look()
            if digest.at + len(chunk) > file.bytes:
                raise HubError(f"{file.name} of {self._repository} is longer than the Hub said.", "Pull it again, or ask whoever keeps it.")
            rest = memoryview(chunk)
            while rest:  # nothing is buffered, so a write may take only a part: the last before a disk is full
                written = out.write(rest)
                digest.add(rest[:written])
                rest = rest[written:]
                self._done[file.name] = digest.at
            self._moved, self._trouble = time.monotonic(), ""

    def _restart(self, file: Remote, out: BinaryIO, digest: Digest) -> None:
        """The server does not go on in the middle: from the start again."""
        with self._lock:
            self._look()
            out.truncate(0)
            digest.reset()
            self._done[file.name] = 0

    def _rest(self, wait: float) -> None:
        """The Hub asks to slow down: the caller's thread counts the seconds, this one sleeps through them."""
        with self._lock:
            self._look()
            self._wait = max(self._wait, wait)
        self._sleep(wait + 2 * LOOK)

    def _again(self, trouble: str, *, at_once: bool = False) -> None:
        with self._lock:
            self._look()
            self._trouble = trouble
        self._sleep(0.2 if at_once else 1.0)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._lock:
                self._look()
            time.sleep(LOOK / 2)

    def _look(self) -> None:
        """Call with the lock held, before anything is changed."""
        if self._over or self._errors:
            raise Halted


def _continues(answer: Any, at: int) -> bool:
    """Whether an answer begins at byte ``at``, unpacked."""
    if answer.status_code != 206 or answer.headers.get("content-encoding", "identity") != "identity":
        return False
    return str(answer.headers.get("content-range", f"bytes {at}-")).startswith(f"bytes {at}-")
