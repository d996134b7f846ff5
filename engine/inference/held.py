"""What a pool holds: a base in memory, how it was asked for, and what it takes."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.devices import peak_memory, resident
from engine.errors import BitternError
from engine.events import now
from engine.models.estimate import loaded_dtype, of_record
from engine.models.fit import Fit, dtype_of, inference
from engine.models.learned import correction, expect

if TYPE_CHECKING:
    from engine.inference.pool import ModelPool
    from engine.inference.protocol import Facts, Usage
    from engine.jobs.host import Host
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

Device = Literal["auto", "cpu", "cuda", "mps"]
Beside = frozenset[tuple[str, str]]
"""Adapters as GGUF files, each with when it was trained: one that is trained again has the same path."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model is to be loaded: ``device``, ``dtype`` (transformers; also int8 and nf4 on a GPU), ``force`` to load what
    the estimate says can't fit, and ``memory``, the bytes of its weights that may be in RAM (0: all; the rest stays on the
    disk). Kept in the workspace, so that the next chat loads it the same way."""

    device: Device = "auto"
    dtype: str = "auto"
    force: bool = False
    memory: int = 0

    @classmethod
    def of(cls, workspace: Workspace, name: str) -> Choice:
        """The choice that was made for a base, or the default."""
        with suppress(ValueError, TypeError):
            return cls(**json.loads(workspace.recall(f"load:{name}", "{}")))
        return cls()

    def keep(self, workspace: Workspace, name: str) -> None:
        workspace.remember(f"load:{name}", json.dumps(asdict(self)))


@dataclass(slots=True)
class Held:
    """A loaded base. ``made`` tells its files and its choice from others of its name; ``fit`` is what it was expected
    to take, ``need`` the same in bytes, corrected; ``tokens`` the longest conversation it has read; ``beside`` the adapters
    that llama.cpp loaded with it."""

    name: str
    engine: str
    opened: Host
    made: str
    fit: Fit | None
    need: int
    used: str = field(default_factory=now)
    facts: Facts | None = None
    tokens: int = 0
    adapters: list[str] = field(default_factory=list)
    active: str = ""
    beside: Beside = frozenset()
    told: bool = False
    """Whether the pool has said that it is there."""

    @property
    def process(self) -> int | None:
        """The process that holds it, where that is one of its own."""
        return self.opened.process_id

    def after(self, name: str, facts: Facts | None, usage: Usage) -> None:
        """Note what an answer used."""
        self.used, self.facts = now(), facts or self.facts
        self.tokens = max(self.tokens, usage.prompt_tokens + usage.completion_tokens)
        self.active = name if name != self.name else ""
        if self.active and self.active not in self.adapters:
            self.adapters.append(self.active)

    def as_data(self) -> dict[str, Any]:
        """The stable JSON of `loaded`; ``bytes`` is measured where the model has a process of its own, else expected."""
        facts, process = self.facts, self.process
        return {
            "model": self.name, "engine": self.engine, "device": facts.device if facts else "", "dtype": facts.quantisation if facts else "",
            "bytes": resident(process) if process else self.need, "measured": bool(process), "expected": self.need, "adapters": list(self.adapters),
            "active": self.active, "used": self.used, "process": process,
        }  # fmt: skip

    def learn(self, workspace: Workspace) -> None:
        """Write down what the process of a torch model took at the most, for the next prediction. Never an error."""
        with suppress(BitternError, ValueError, OSError):
            if self.engine == "transformers" and self.process and self.fit and self.tokens and (peak := peak_memory(self.process)):
                job = f"chat {self.name} {self.used}"
                record = of_record(workspace, workspace.models.get(self.name), weights=True)
                expect(workspace, job, self.name, inference(record.shape, dtype=self.fit.settings["dtype"], context=self.tokens))
                workspace.peaks.measure(job, peak)


def expected(workspace: Workspace, base: ModelRecord, engine: str, choice: Choice) -> tuple[Fit | None, int]:
    """What loading a base is going to take: the fit, and its total corrected. ``(None, 0)`` where its size is not known."""
    try:
        model = of_record(workspace, base, weights=engine != "llamacpp")
        asked = "float32" if workspace.settings.precise and choice.dtype == "auto" else choice.dtype
        dtype = "" if engine == "llamacpp" else dtype_of(loaded_dtype(asked, model.dtype))
        fit = model.inference(context=workspace.settings.context, dtype=dtype, backend="llamacpp" if engine == "llamacpp" else "transformers")
    except (BitternError, ValueError):
        return None, 0
    if engine == "llamacpp":
        return fit, fit.total
    if 0 < choice.memory < fit.terms["weights"]:
        # Nothing is learned from it: what was measured of whole models says little of one that is there in part.
        return None, fit.total - fit.terms["weights"] + choice.memory
    return fit, correction(workspace, "inference", fit.terms["runtime"]).of(fit)


class Locks:
    """One lock for each name: who has it may answer with that base."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def of(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


class Growth:
    """How far a load is, by the memory that its process has taken since it began."""

    def __init__(self, pool: ModelPool, name: str) -> None:
        self._pool, self._name = pool, name
        self._before = resident(os.getpid())

    def megabytes(self) -> tuple[float, float | None]:
        """``(taken, expected)`` in MB; never more than expected."""
        held = next((held for held in self._pool.holding() if held.name == self._name), None)
        process = held.process if held else None
        taken = max(0, resident(process) if process else resident(os.getpid()) - self._before) / 1e6
        expected = held.need / 1e6 if held and held.need else None
        return (min(taken, expected) if expected else taken), expected
