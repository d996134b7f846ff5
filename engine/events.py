"""What the engine says. Frozen, slotted, JSON-able; the screen and the command line are pictures of these."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


def now() -> str:
    """The present moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``job`` is a job's id or a call's ticket; ``seq`` rises by one within a job; ``at`` is UTC, ISO 8601."""

    job: str = ""
    seq: int = 0
    at: str = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueued(Event):
    title: str
    verb: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Event):
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress(Event):
    """``rate`` is in ``unit`` a second, ``eta`` in seconds; both ``None`` until they can be known."""

    done: float
    total: float | None
    unit: str
    rate: float | None = None
    eta: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMetric(Event):
    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLog(Event):
    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCheckpoint(Event):
    step: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPaused(Event):
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished(Event):
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(Event):
    title: str
    message: str
    hint: str = ""
    repairs: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInterrupted(Event):
    """The process that ran the job is gone; ``resume`` goes on from the last checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChanged(Event):
    """A list on the screen is out of date. ``what``: datasets, models, jobs, indexes, runs, sessions, settings."""

    what: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDelta(Event):
    """A piece of streamed text of the call whose ticket is ``job``."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SideDelta(Event):
    """A piece of the answer at place ``side`` (from 0) of a comparison."""

    side: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassagesFound(Event):
    """The rows an answer will be built on, best first, before its first word. Each has n, address, text, score.
    ``asked`` is the question as it was understood, where that differs from what was typed."""

    passages: list[dict[str, Any]]
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRead(Event):
    """How many tokens of the prompt were read, and of how many, before the first word of an answer; not every engine tells."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Event):
    """A dispatched Command answered: ``result`` is ``Result.as_dict()``, or ``error`` an error's ``as_dict()``."""

    verb: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}


def to_dict(event: Event) -> dict[str, Any]:
    """The event as JSON-able data, its type under ``type``."""
    return {"type": type(event).__name__, **asdict(event)}


def from_dict(data: dict[str, Any]) -> Event:
    """The event that :func:`to_dict` wrote. Raises ``KeyError`` for a type this version does not know."""
    fields = dict(data)
    return TYPES[fields.pop("type")](**fields)
