"""The models that are loaded: opened by name, kept while there is room, one answer at a time each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from engine.errors import ModelError, NotFound
from engine.inference.fastest import applied, fastest
from engine.inference.hosted import Hosted, Tuned
from engine.inference.protocol import SMALL
from engine.jobs.host import Host
from engine.models.adapter_gguf import cannot, convert_adapter, converted
from engine.models.load import resolve
from engine.models.starter import CHAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from engine.inference.llamacpp import LlamaCpp
    from engine.inference.protocol import Backend
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

ROOM = 2
"""Bases kept loaded; the least recently used one goes first."""


EngineName = Literal["llamacpp", "transformers", "endpoint"]


def engine_of(record: ModelRecord, base: ModelRecord | None = None) -> EngineName:
    """What runs a model that chats; ``base`` is that of an adapter.

    An engine that was chosen for the model (``facts["engine"]``) goes first where its files are there; then llama.cpp
    for a GGUF and for the adapters that it can carry (``adapter_gguf.cannot``), and transformers for the rest.
    """
    whole = base or record
    if "endpoint" in (record.kind, whole.kind):
        return "endpoint"
    if (record.facts.get("engine") or whole.facts.get("engine")) == "transformers" and whole.folder:
        return "transformers"
    if not whole.gguf or (base is not None and cannot(record, base)):
        return "transformers"
    return "llamacpp"


class ModelPool:
    """Thread-safe. ``hosted``: torch models live in helper processes; otherwise (a single command) in this one."""

    def __init__(self, workspace: Workspace, *, hosted: bool) -> None:
        self._workspace, self._hosted = workspace, hosted
        self._lock = threading.RLock()
        self._bases: OrderedDict[str, Host | Backend] = OrderedDict()
        self._busy: dict[str, threading.Lock] = {}
        self._made: dict[str, str] = {}

    @contextmanager
    def use(self, name: str = "") -> Iterator[Backend]:
        """The backend of a model (the one in use, when no name is given), for this thread alone meanwhile.

        Raises ``NotFound`` or ``ModelError``.
        """
        record = self.record(name)
        with self._lock:
            busy = self._busy.setdefault(record.base or record.name, threading.Lock())
        with busy:
            yield self._open(record)

    def record(self, name: str = "") -> ModelRecord:
        """The record behind a name, or of the model in use. Raises ``NotFound`` or ``ModelError`` for one that can't chat."""
        models = self._workspace.models
        chosen = name or self._workspace.recall("model")
        if not chosen or (not name and models.find(chosen) is None):
            chosen = CHAT
            if models.find(chosen) is None:
                raise NotFound("There is no chat model yet.", "`setup` brings the starter; `pull` brings another.")
        record = models.get(chosen)
        if record.kind not in ("chat", "adapter"):
            raise ModelError(
                f"“{record.name}” is an {record.kind}: it can't chat."
                if record.kind == "encoder"
                else f"“{record.name}” is a {record.kind}: it can't chat.",
                "Choose a chat model: `models` lists them.",
            )
        return record

    def writes(self, name: str = "") -> bool:
        """Whether there is a chat model whose own words can be trusted with facts: one that is there and is not small.

        Raises ``NotFound`` or ``ModelError`` for a name that is no chat model.
        """
        try:
            record = self.record(name)
        except NotFound:
            if name:
                raise
            return False
        base = self._workspace.models.get(record.base) if record.base else record
        return base.bytes >= SMALL

    def unload(self, name: str) -> None:
        """Free a model. A name that is not loaded is no error."""
        with self._lock:
            for key in (name, f"{name} (torch)"):
                if base := self._bases.pop(key, None):
                    base.close()

    def close(self) -> None:
        with self._lock:
            while self._bases:
                self._bases.popitem()[1].close()

    def _open(self, record: ModelRecord) -> Backend:
        with self._lock:
            base = self._workspace.models.get(record.base) if record.base else None
            note = ""
            if engine_of(record, base) == "llamacpp":
                if base is None:
                    return self._llamacpp(record)
                try:
                    return self._tuned(record, base)
                except ModelError as error:
                    if not base.folder:
                        raise
                    note = str(error)
            folder, adapter = resolve(self._workspace, record)
            if base is not None and base.gguf:
                note = note or f"not through llama.cpp: {cannot(record, base) or 'transformers was chosen'}"
            # An adapter trained again under its name is another adapter.
            return Hosted(record.name, self._host(base or record, folder), str(adapter or ""), record.created if adapter else "", note)

    def _llamacpp(self, record: ModelRecord, wanted: Mapping[str, Path] | None = None) -> LlamaCpp:
        """The base in llama.cpp with at least the ``wanted`` adapters beside it: it is loaded again only where one of
        them is new."""
        from engine.inference.llamacpp import LlamaCpp

        wanted = dict(wanted or {})
        way = fastest(self._workspace, record)
        made = f"{record.gguf} {way}"
        found = self._bases.get(record.name)
        if isinstance(found, LlamaCpp) and self._made.get(record.name) == made and wanted.items() <= found.adapters.items():
            self._bases.move_to_end(record.name)
            return found
        self.unload(record.name)
        self._made[record.name] = made
        beside = {**self._converted(record), **wanted}
        opened = LlamaCpp(*(applied(record, self._workspace.settings, way) if way else (record, self._workspace.settings)), beside)
        self._keep(record.name, opened)
        return opened

    def _tuned(self, record: ModelRecord, base: ModelRecord) -> Backend:
        # An adapter trained again under its name is another adapter.
        key = f"{record.name} {record.created}"
        return Tuned(record.name, self._llamacpp(base, {key: convert_adapter(self._workspace, record, base)}), key)

    def _converted(self, base: ModelRecord) -> dict[str, Path]:
        """The adapters of a base that are converted already: they come along for nothing."""
        found = {}
        for record in self._workspace.models.all():
            if record.kind == "adapter" and record.base == base.name and (path := converted(self._workspace, record, base)):
                found[f"{record.name} {record.created}"] = path
        return found

    def _host(self, base: ModelRecord, folder: Path) -> Host:
        # The same base may be loaded twice, as a GGUF for chat and as torch weights under its adapters.
        key = f"{base.name} (torch)"
        weights = f"{folder} {base.created}"
        found = self._bases.get(key)
        if isinstance(found, Host) and self._made.get(key) == weights:
            self._bases.move_to_end(key)
            return found
        self.unload(base.name)
        self._made[key] = weights
        settings = self._workspace.settings
        config = {"name": base.name, "folder": str(folder), "context": settings.context, "threads": settings.threads}
        inside = not self._hosted or settings.runner == "thread"
        host = Host("engine.inference.torch_model:TorchModel", config, self._workspace.paths.logs / "model.log", inside=inside)
        self._keep(key, host)
        return host

    def _keep(self, key: str, opened: Host | Backend) -> None:
        self._bases[key] = opened
        while len(self._bases) > ROOM:
            oldest = next(iter(self._bases))
            if (lock := self._busy.get(oldest.removesuffix(" (torch)"))) and lock.locked():
                break
            self._bases.pop(oldest).close()
