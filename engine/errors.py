"""One tree of errors. Each has a title, a message that names the thing and the place, and a way out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Repair:
    """A way out that one key takes: what it does, and the whole line that does it."""

    label: str
    line: str


class BitternError(Exception):
    """Something a person can read and act on. Never shown as a traceback. Where a line was typed, ``start``/``end``
    point at the word, in characters of ``line``."""

    title = "That can't be done"
    exit_code = 1

    def __init__(self, message: str, hint: str = "", repairs: Iterable[Repair] = (), *, line: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.repairs = tuple(repairs)
        self.line, self.start, self.end = line, start, end

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON form: ``error``, ``title``, ``message``, ``hint``; ``line``, ``start``, ``end`` and ``repairs``
        where there are any."""
        told: dict[str, Any] = {"error": type(self).__name__, "title": self.title, "message": self.message, "hint": self.hint}
        if self.line:
            told |= {"line": self.line, "start": self.start, "end": self.end}
        return {**told, "repairs": [asdict(repair) for repair in self.repairs]} if self.repairs else told

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Unforeseen(BitternError):
    """An exception that nobody wrote words for."""

    title = "Something went wrong"


class WordsError(BitternError):
    """A line that cannot be read as a Command."""

    title = "I can't read that line"
    exit_code = 2

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "line": self.line, "start": self.start, "end": self.end}


class NotFound(BitternError):
    """A name that is not in the workspace; ``hint`` carries the near matches."""

    title = "Not found"
    exit_code = 2

    @classmethod
    def named(cls, kind: str, name: str, known: Iterable[str], otherwise: str = "") -> NotFound:
        """An error for ``name`` that suggests near matches among ``known``, or else says ``otherwise``."""
        return cls(f"There is no {kind} called “{name}”.", did_you_mean(name, known) or otherwise)


class DataError(BitternError):
    """A file or dataset that cannot be used as asked; the message has file, line and column where they are known."""

    title = "This data can't be used"

    changes: tuple[tuple[str, dict[str, Any]], ...] = ()

    def offer(self, label: str, **values: Any) -> Self:
        """Offer a repair: the same Command with other ``values``. The Command makes a line of it (``repairs``)."""
        self.changes = (*self.changes, (label, values))
        return self


class ModelError(BitternError):
    """A model that cannot be found, loaded, converted or run."""

    title = "This model can't be used"
    wait: float | None = None
    """Seconds after which a busy server may do better, 0 where it did not say; ``None`` where asking again is no use."""


class HubError(BitternError):
    """The Hub is away, refuses, or has no such repository."""

    title = "The Hub did not help"


class DiskFull(BitternError):
    """No room left; everything written so far has been kept or taken back."""

    title = "The disk is full"


class WorkspaceError(BitternError):
    """The workspace folder or its database cannot be opened."""

    title = "The workspace can't be opened"


class JobError(BitternError):
    """A job came to no good end, or its process died."""

    title = "The job did not finish"


class JobRefused(JobError):
    """A job cannot do what was asked of it, in its present state or at all."""

    title = "That job can't do this"


class Stopped(Exception):
    """Control flow, not an error: the work was asked to stop and did. ``how`` is ``cancel`` or ``pause``."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


FULL = ("No space left on device", "os error 28", "database or disk is full", "unexpected pos", "iostream error")
"""How libraries that wrap everything say that the disk is full; the last two are torch's, whose writer knows no reason."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """“Did you mean a or b?”, or an empty string when nothing is near."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def from_dict(data: dict[str, Any]) -> BitternError:
    """The error that :meth:`BitternError.as_dict` described, for errors that crossed a process boundary."""
    if data.get("error") == "WordsError":
        return WordsError(data["message"], data["hint"], line=data.get("line", ""), start=data.get("start", 0), end=data.get("end", 0))
    kinds: dict[str, type[BitternError]] = {cls.__name__: cls for cls in (*BitternError.__subclasses__(), *JobError.__subclasses__())}
    kind = kinds.get(str(data.get("error")), BitternError)
    place = {name: data[name] for name in ("line", "start", "end") if name in data}
    repairs = [Repair(str(repair.get("label", "")), str(repair.get("line", ""))) for repair in data.get("repairs", [])]
    return kind(str(data.get("message", "")), str(data.get("hint", "")), repairs, **place)


def explain(error: BaseException) -> BitternError:
    """Any exception as one that a person can read; known kinds get a way out, the rest point at the log."""
    import errno

    if isinstance(error, BitternError):
        return error
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)) or any(words in str(error) for words in FULL):
        return DiskFull(f"No space left while writing {getattr(error, 'filename', None) or 'a file'}.", "Free some space, then resume the job.")
    if isinstance(error, PermissionError):
        return BitternError(f"No permission for {error.filename}.", "Choose another folder or change its rights.")
    if isinstance(error, MemoryError):
        return BitternError("Memory ran out.", "Try a smaller batch, a shorter length, or close other programs.")
    return Unforeseen(f"{type(error).__name__}: {error}", "The log has the details: see `bittern doctor`.")
