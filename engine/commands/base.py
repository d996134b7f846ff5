"""Command: a typed, validated request with one handler."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from engine.jobs.context import Slot, Where
from engine.results import Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import Event
    from engine.inference.asked import Heads
    from engine.inference.pool import ModelPool
    from engine.jobs.context import CancelToken, JobContext
    from engine.jobs.queue import JobQueue
    from engine.search.reader import Reader
    from engine.store.workspace import Workspace

Effect = Literal["read", "write", "compute", "network", "publish"]


class Warm(Protocol):
    """What the engine keeps loaded between Commands; made when first asked for."""

    @property
    def models(self) -> ModelPool: ...

    @property
    def reader(self) -> Reader: ...

    @property
    def heads(self) -> Heads: ...


@dataclass(frozen=True)
class Desk:
    """What a Command that answers at once works with. ``emit`` streams to the caller (``TokenDelta``,
    ``PassagesFound``); ``publish`` tells everybody (``CatalogChanged``)."""

    workspace: Workspace
    queue: JobQueue
    warm: Warm
    emit: Callable[[Event], None]
    publish: Callable[[Event], None]
    cancel: CancelToken
    secret: str = dataclass_field(default="", repr=False)
    """What a face was told in confidence (a token). It is no field of any Command, so that nothing ever stores it."""

    @property
    def models(self) -> ModelPool:
        return self.warm.models

    @property
    def reader(self) -> Reader:
        return self.warm.reader

    @property
    def heads(self) -> Heads:
        return self.warm.heads


class Command(BaseModel):
    """A request. The docstring is its help; fields are its words, flags, form and JSON schema.

    ``words`` names the positional fields in order; if the last one is named in ``rest``, it takes all that
    remains of the line. ``examples`` are shown in the help and teach the assistant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: ClassVar[str] = ""
    effect: ClassVar[Effect] = "read"
    words: ClassVar[tuple[str, ...]] = ()
    rest: ClassVar[bool] = False
    raw: ClassVar[bool] = False
    """Whether the rest of the line is taken as it was written, quotes and spaces and all."""
    examples: ClassVar[tuple[str, ...]] = ()
    streams: ClassVar[bool] = False
    """Whether what it streams is already the answer, so that it need not be shown again."""
    secret: ClassVar[bool] = False
    """Whether it needs something that must not stand on a line; a face asks for it unseen and hands it over beside."""
    asking: ClassVar[str] = "Token (it is not shown): "
    """What a face says when it asks for that."""
    completes: ClassVar[dict[str, str]] = {}
    """What a field's value is a name of, for completion: ``{"model": "models", "on": "datasets"}``; also files, jobs, runs."""

    @property
    def asks(self) -> bool:
        """Whether a face asks for a secret before this is run."""
        return self.secret

    def title(self) -> str:
        """A short name for a list: the verb and its first word."""
        first = str(getattr(self, self.words[0])) if self.words else ""
        return f"{self.verb} {first}".strip()


class Now(Command):
    """A Command that answers at once (or streams its answer)."""

    @abstractmethod
    def run(self, desk: Desk) -> Result:
        """Answer. Raises ``BitternError``."""


class Work(Command):
    """A Command that becomes a job. ``slot`` is the queue it waits in; ``where`` says what runs it.

    ``thread``: light work (a download). ``warm``: a child forked from a server that has the heavy libraries
    loaded and the Hub switched off. ``fresh``: a new child process, for what needs the network.
    """

    slot: ClassVar[Slot] = "compute"
    where: ClassVar[Where] = "warm"
    pauses: ClassVar[bool] = True
    """Whether it can stop at a checkpoint and go on from there."""

    def prepare(self, desk: Desk) -> Work:  # noqa: ARG002
        """Check against the workspace and fill in what was left open, before anything is queued.

        Raises ``BitternError`` for what can be known to fail now, so that nobody waits for it. The returned
        Command is the one that is stored, so that it means the same tomorrow.
        """
        return self

    def opens(self, job: str) -> str:
        """Where the screen goes once it is queued as ``job``."""
        return f"job:{job}"

    def ready(self, desk: Desk) -> Result | None:  # noqa: ARG002
        """The answer, where it is there already and nothing needs to be queued. Asked of what ``prepare`` returned."""
        return None

    @abstractmethod
    def work(self, job: JobContext) -> Result:
        """Do it. Call ``job.check()`` at every step. Raises ``BitternError``; ``Stopped`` when asked to stop."""


__all__ = ["Command", "Desk", "Effect", "Field", "Now", "Result", "Slot", "Table", "Where", "Work"]
