"""The engine's front door: open a workspace, run Commands, follow what happens."""

from __future__ import annotations

import json
import sys
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from engine.bus import Bus
from engine.calls import Calls
from engine.commands.base import Command, Desk, Now, Work
from engine.commands.complete import complete
from engine.commands.parse import from_argv, from_line
from engine.devices import prepare_environment
from engine.events import CatalogChanged, Event
from engine.jobs import journal, process
from engine.jobs.context import CancelToken
from engine.jobs.queue import JobQueue
from engine.logfile import log_to
from engine.paths import default_home
from engine.results import Result
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.commands.lengths import Lengths
    from engine.commands.training.outlook import Outlook
    from engine.commands.training.train import Train
    from engine.data.looking.query import Query
    from engine.data.looking.shown import Shown
    from engine.data.looking.view import View
    from engine.inference.asked import Heads
    from engine.inference.pool import ModelPool
    from engine.search.reader import Reader
    from engine.store.datasets import DatasetRecord
    from engine.store.jobs import JobRecord
    from engine.store.models import ModelRecord
    from engine.store.runs import RunRecord
    from engine.store.sessions import MessageRecord

LOADER = "engine.commands.registry:restore"


class Engine:
    """One open workspace. Every method may be called from any thread; none but ``run`` and ``close`` takes long."""

    def __init__(self, root: Path | None = None, *, everything: bool = False, warm: bool = False, working: bool = True) -> None:
        """``everything``: run whatever job is queued in the workspace, not only this process's own. ``warm``: load
        the heavy libraries in the background now. ``working``: run jobs at all, or only queue them. Raises
        ``WorkspaceError``."""
        prepare_environment()
        self.workspace = Workspace((root or default_home()).expanduser().resolve())
        log_to(self.workspace.paths.logs / "bittern.log")
        self.bus = Bus()
        self.queue = JobQueue(self.workspace, self.bus, LOADER, everything=everything)
        self._warm = warm
        self._calls = Calls(self.run, self.bus.publish)
        self._queries: weakref.WeakSet[Query] = weakref.WeakSet()
        if warm and self.workspace.settings.runner == "child":
            process.warm_up(self.workspace.paths.logs / "warm.log")
        if working:
            self.queue.start()

    # -- Commands ---------------------------------------------------------------------------------------------

    def parse(self, line: str) -> Command:
        """Raises ``WordsError``."""
        return from_line(line)

    def parse_words(self, words: Sequence[str]) -> Command:
        """Raises ``WordsError``."""
        return from_argv(words)

    def run(self, command: Command, emit: Callable[[Event], None] | None = None, cancel: CancelToken | None = None, secret: str = "") -> Result:
        """Answer a Command, on the caller's thread; a ``Work`` is queued, and the answer names its job. ``secret`` is
        what a Command that needs one was told in confidence.

        Raises ``BitternError``.
        """
        desk = Desk(
            workspace=self.workspace, queue=self.queue, warm=self,
            emit=emit or self.bus.publish, publish=self.bus.publish, cancel=cancel or CancelToken(),
            secret=secret,
        )  # fmt: skip
        if isinstance(command, Work):
            command = command.prepare(desk)
            if found := command.ready(desk):
                return found
            record = self.queue.submit(command)
            return Result(f"Job {record.id} is queued: {record.title}.", {"job": record.id}, opens=command.opens(record.id))
        return cast("Now", command).run(desk)

    def submit(self, command: Work, after: Sequence[str] = ()) -> JobRecord:
        """Queue a job behind others, with no check beforehand (they may have to make what it needs)."""
        return self.queue.submit(command, after)

    def first_run(self) -> list[str]:
        """In a workspace where nothing was ever done, start bringing the starter; returns the ids of its jobs."""
        if self.jobs() or self.model_records():
            return []
        return list(self.run(from_line("setup")).data["jobs"])

    def dispatch(self, command: Command, secret: str = "") -> str:
        """Answer a Command on a thread of the engine; its ticket is the ``job`` of the events that follow.

        The last of them is ``CallFinished``, with the result or the error.
        """
        return self._calls.begin(command, secret)

    def stop(self, ticket: str) -> None:
        """Stop a dispatched Command; a streamed answer keeps what it has."""
        self._calls.stop(ticket)

    def complete(self, line: str) -> list[tuple[str, str]]:
        """What the last word of ``line`` may become, each with a word of help."""
        return complete(line, self.names)

    # -- What a face shows -------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Hear every event, on the thread it happens on; returns the function that ends it."""
        return self.bus.subscribe(callback)

    def names(self, kind: str) -> list[str]:
        """The names there are of a kind: datasets, models, jobs, runs, sessions, presets."""
        if kind == "jobs":
            return [record.id for record in self.jobs()]
        if kind == "runs":
            return [record.id for record in self.runs()]
        tables = {name: getattr(self.workspace, name) for name in ("datasets", "models", "sessions", "presets")}
        return list(tables[kind].names()) if kind in tables else []

    def datasets(self) -> list[DatasetRecord]:
        return self.workspace.datasets.all()

    def model_records(self) -> list[ModelRecord]:
        return self.workspace.models.all()

    def jobs(self) -> list[JobRecord]:
        return self.workspace.jobs.all()

    def job(self, job_id: str) -> JobRecord:
        return self.workspace.jobs.get(job_id)

    def result(self, job_id: str) -> Result:
        """What a job answered when it was done. Raises ``NotFound``, ``OSError``."""
        return Result.from_dict(json.loads((self.workspace.paths.job(self.job(job_id).id) / "result.json").read_text("utf-8")))

    def runs(self) -> list[RunRecord]:
        return self.workspace.runs.all()

    def history(self, session: str) -> list[MessageRecord]:
        return self.workspace.sessions.messages(session)

    def events_of(self, job_id: str) -> list[Event]:
        """Everything a job has said so far, oldest first."""
        return [event for event, _ in journal.read(self.workspace.paths.job(job_id) / "events.jsonl")]

    def window(self, dataset: str, split: str, start: int, count: int) -> list[dict[str, Any]]:
        """Rows ``start`` to ``start + count`` of a split, read from the memory-mapped file."""
        from engine.data.rows import window

        rows: list[dict[str, Any]] = window(self.workspace.datasets.get(dataset), split, start, count)
        return rows

    def media(self, dataset: str, split: str, index: int) -> list[Shown]:
        """The pictures and sounds of a row, decoded as far as a screen shows them; any thread but the screen's."""
        from engine.data.looking.shown import media

        return media(self.workspace.datasets.get(dataset), split, index)

    def common_values(self, dataset: str, column: str, count: int) -> list[str]:
        """The ``count`` most frequent values of a column, as text, the most frequent first. Looks at every row."""
        from engine.data.looking.values import common

        return common(self.workspace.datasets.get(dataset), column, count)

    def nulls(self, dataset: str) -> dict[str, int]:
        """How many values of each column are empty, over all splits."""
        from engine.data.looking.stats import nulls

        return nulls(self.workspace.datasets.get(dataset))

    def matching(self, dataset: str, where: str) -> dict[str, int]:
        """How many rows of each split fit ``where``; a split without any is left out. Looks at every row. Raises ``DataError``."""
        from engine.data.looking.view import matching

        return matching(self.workspace.datasets.get(dataset), where)

    def token(self) -> CancelToken:
        """What stops a :meth:`view` that is being made."""
        return CancelToken()

    def view(self, dataset: str, split: str, where: str = "", sort: Sequence[tuple[str, bool]] = (), cancel: CancelToken | None = None) -> View:
        """The rows of a split that fit ``where``, in the order of ``sort`` (columns, each with whether it goes down).

        Takes as long as DuckDB needs to look at every row, once. Raises ``DataError``, ``NotFound``, ``Stopped``.
        """
        from engine.data.looking.view import View

        return View(self.workspace.datasets.get(dataset), split, where, sort, cancel)

    def query(self, statement: str, limit: int = 100_000, seconds: float = 30) -> Query:
        """A SQL query over the datasets, not run yet: ``run()`` answers, ``stop()`` ends it from another thread."""
        from engine.data.looking.query import Query

        query = Query(self.workspace.datasets.all(), statement, limit, seconds)
        self._queries.add(query)
        return query

    def current(self, kind: str) -> str:
        """The name in use: ``model``, ``dataset`` or ``session``."""
        return self.workspace.recall(kind)

    def choose(self, kind: str, name: str) -> None:
        """Use a model or a dataset from now on."""
        self.workspace.remember(kind, name)
        self.bus.publish(CatalogChanged(what="settings", name=kind))

    # -- Warm things ------------------------------------------------------------------------------------------

    def loaded(self) -> dict[str, dict[str, Any]]:
        """What is in memory, by the name of its base: the entries of `loaded`."""
        if "engine.inference.pool" not in sys.modules:
            return {}
        return {held.name: held.as_data() for held in self.models.loaded()}

    def memory_lines(self, model: str) -> list[tuple[str, str]]:
        """What a model needs in memory, as lines for a list of facts."""
        from engine.commands.models.fit import lines_of

        return lines_of(self.workspace, model)

    def training_outlook(self, line: str) -> Outlook:
        """What a ``train`` line comes to, or why it can't be trained so."""
        from engine.commands.training.outlook import outlook

        return outlook(self.workspace, cast("Train", from_line(line)))

    def training_memory(self, line: str) -> str:
        """What a ``train`` line will need in memory, in a sentence; empty where that can't be said."""
        from engine.commands.models.fit import line_of

        return line_of(self.workspace, cast("Train", from_line(line)))

    def training_lengths(self, line: str) -> str:
        """How long the rows of a ``train`` line are and how many are cut, in a sentence; empty where that can't be said."""
        from engine.commands.lengths import cut_of

        return cut_of(self.workspace, cast("Train", from_line(line)), make=self._warm)

    def lengths(self, texts: list[str]) -> Lengths | None:
        """Tokens of texts for the model in use, where that can be told at once."""
        from engine.commands.lengths import lengths

        return lengths(self.workspace, texts, make=self._warm)

    def row_length(self, dataset: str, row: dict[str, Any]) -> Lengths | None:
        """Tokens of a row's text for the model in use, where that can be told at once."""
        from engine.commands.lengths import of_row

        return of_row(self.workspace, dataset, row, make=self._warm)

    @cached_property
    def models(self) -> ModelPool:
        from engine.inference.pool import pool_of

        pool = pool_of(self.workspace, hosted=self._warm)
        pool.changed = lambda: self.bus.publish(CatalogChanged(what="models"))
        return pool

    @cached_property
    def reader(self) -> Reader:
        from engine.search.reader import Reader

        return Reader(self.workspace, hosted=self._warm)

    @cached_property
    def heads(self) -> Heads:
        from engine.inference.asked import Heads

        return Heads(self.workspace, hosted=self._warm)

    def close(self, wait: float = 30.0) -> None:
        """Pause what this process runs, each job at a checkpoint, and free everything."""
        for query in list(self._queries):
            query.stop()
        self._calls.close()
        self.queue.close(wait)
        for warm in ("reader", "heads"):
            if warm in self.__dict__:
                getattr(self, warm).close()
        if pool := sys.modules.get("engine.inference.pool"):  # a job may have made it
            pool.close_pool(self.workspace)
        self.workspace.close()
