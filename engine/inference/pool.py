"""The models that are loaded: opened by name, kept while there is room, one answer at a time each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from engine.devices import memory
from engine.errors import ModelError, NotFound
from engine.inference.engines import engine_of
from engine.inference.fastest import applied, fastest
from engine.inference.heads import KINDS as HEADS
from engine.inference.held import Choice, Held, Locks, expected
from engine.inference.hosted import Hosted
from engine.inference.protocol import SMALL
from engine.jobs.host import Host
from engine.models.adapter_gguf import cannot, convert_adapter, converted
from engine.models.load import resolve
from engine.models.starter import CHAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.inference.fastest import Use
    from engine.inference.held import Beside
    from engine.inference.protocol import Backend
    from engine.jobs.context import Where
    from engine.models.fit import Fit
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

ROOM = 4
"""Bases kept loaded at the most; the least recently used one goes first, earlier where memory is short."""
GIB = 2**30

_pools: WeakKeyDictionary[Workspace, ModelPool] = WeakKeyDictionary()
_pools_lock = threading.Lock()


def pool_of(workspace: Workspace, *, hosted: bool = True) -> ModelPool:
    """The one pool of an open workspace in this process, for Commands and for jobs in its threads alike."""
    with _pools_lock:
        if (found := _pools.get(workspace)) is None:
            found = _pools[workspace] = ModelPool(workspace, hosted=hosted)
        return found


def close_pool(workspace: Workspace) -> None:
    """Free whatever a workspace has loaded in this process."""
    if (found := _pools.pop(workspace, None)) is not None:
        found.close()


class ModelPool:
    """Thread-safe. ``hosted``: models live in helper processes; otherwise (a single command) in this one."""

    def __init__(self, workspace: Workspace, *, hosted: bool) -> None:
        self._workspace, self.hosted = workspace, hosted
        self._lock = threading.RLock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._busy = Locks()
        self.changed: Callable[[], None] = lambda: None
        """Called when a model came into memory or left it."""

    @contextmanager
    def turn(self, name: str = "", use: Use = "chat") -> Iterator[Callable[[], Backend]]:
        """This thread's turn with a model (the one in use, when no name is given): what is yielded loads it, which may take
        long, so that a question can be kept before. It runs in the way that `tune` found fastest for ``use``.

        Raises ``NotFound`` or ``ModelError``.
        """
        record = self.record(name)
        opened: list[Backend] = []

        def load() -> Backend:
            opened.append(self._open(record, use))
            return opened[0]

        with self._busy.of(record.beneath or record.name):
            try:
                yield load
            finally:
                for backend in opened:
                    self._note(record, backend)
                self._forget_unbuilt(record.beneath or record.name)

    @contextmanager
    def use(self, name: str = "", use: Use = "chat") -> Iterator[Backend]:
        """The backend of a model (the one in use, when no name is given), for this thread alone meanwhile.

        Raises ``NotFound`` or ``ModelError``.
        """
        with self.turn(name, use) as load:
            yield load()

    def record(self, name: str = "") -> ModelRecord:
        """The record behind a name, or of the model in use. Raises ``NotFound`` or ``ModelError`` for one that can't chat."""
        models = self._workspace.models
        chosen = name or self._workspace.recall("model")
        if not chosen or (not name and models.find(chosen) is None):
            chosen = CHAT
            if models.find(chosen) is None:
                raise NotFound("There is no chat model yet.", "`setup` brings the starter; `pull` brings another.")
        record = models.get(chosen)
        if record.kind not in ("chat", "adapter", "seq2seq", "endpoint"):
            raise ModelError(
                f"“{record.name}” is an {record.kind}: it can't chat."
                if record.kind == "encoder"
                else f"“{record.name}” is a {record.kind}: it can't chat.",
                f"Ask it about a text: predict {record.name} TEXT" if record.kind in HEADS else "Choose a chat model: `models` lists them.",
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
        base = self._workspace.models.get(record.beneath) if record.beneath else record
        return base.kind == "endpoint" or base.bytes >= SMALL

    def loaded(self) -> list[Held]:
        """What is in memory, the least recently used first. Never waits for a load."""
        return [held for held in self.holding() if held.facts is not None]

    def holding(self) -> list[Held]:
        """What is loaded and what is being loaded."""
        return list(self._held.values())

    def abandon(self, name: str) -> bool:
        """End the process that is loading a base; returns whether there is one."""
        found = [held.opened for held in self.holding() if held.name == name and held.facts is None and not held.opened.inside]
        for host in found:
            host.close()
        return bool(found)

    def unload(self, name: str = "") -> list[str]:
        """Free a model (an adapter's base), or all that answer nobody; returns the names of the bases that are freed.
        A name that is not loaded is no error. Raises ``ModelError`` for one that is just answering."""
        with self._lock:
            found = self._workspace.models.find(name) if name else None
            wanted = (found.beneath or found.name) if found else name
            freed = []
            for key, held in list(self._held.items()):
                if wanted and held.name != wanted:
                    continue
                if self._busy.of(held.name).locked():
                    if wanted:
                        raise ModelError(f"“{held.name}” is answering.", "Stop the answer first: Esc in the chat.")
                    continue
                self._drop(key)
                freed.append(held.name)
            return freed

    def close(self) -> None:
        with self._lock:
            for key in list(self._held):
                self._drop(key)

    def _drop(self, key: str) -> None:
        held = self._held.pop(key)
        held.learn(self._workspace)
        held.opened.close()
        self.changed()

    def _forget_unbuilt(self, name: str) -> None:
        """A base that could not be loaded, or whose process has died, is not held."""
        if gone := [key for key, held in list(self._held.items()) if held.name == name and not held.opened.built]:
            with self._lock:
                for key in gone:
                    if key in self._held:
                        self._drop(key)

    def _note(self, record: ModelRecord, backend: Backend) -> None:
        for held in self.holding():
            if isinstance(backend, Hosted) and held.opened is backend.host:
                new = held.facts is None or not held.told
                held.after(record.name, backend.known, backend.usage)
                held.told = held.facts is not None
                if new and held.told:
                    self.changed()

    def _open(self, record: ModelRecord, use: Use) -> Backend:
        with self._lock:
            base = self._workspace.models.get(record.beneath) if record.beneath else None
            note = ""
            if engine_of(record, base) == "endpoint":
                return self._endpoint(record)
            if engine_of(record, base) == "llamacpp":
                if base is None:
                    return Hosted(record.name, self._llamacpp(record, use))
                try:
                    return self._tuned(record, base, use)
                except ModelError as error:
                    if not base.folder:
                        raise
                    note = str(error)
            folder, adapter = resolve(self._workspace, record)
            if base is not None and base.gguf:
                note = note or f"not through llama.cpp: {cannot(record, base) or 'transformers was chosen'}"
            # An adapter trained again under its name is another adapter.
            return Hosted(record.name, self._host(base or record, folder), str(adapter or ""), record.created if adapter else "", note)

    def _endpoint(self, record: ModelRecord) -> Backend:
        """Nothing is loaded for it, so it is no one's turn to go."""
        from engine.inference.endpoint import Endpoint

        return Endpoint(record, self._workspace.settings)

    def _llamacpp(self, record: ModelRecord, use: Use, wanted: Beside = frozenset()) -> Host:
        """The base in llama.cpp with at least the ``wanted`` adapters beside it: it is loaded again only where one of
        them is new."""
        choice, way = Choice.of(self._workspace, record.name), fastest(self._workspace, record, use)
        made = f"{record.gguf} {choice.device} {way}"
        held = self._held.get(record.name)
        if held and held.made == made and wanted <= held.beside:
            self._held.move_to_end(record.name)
            return held.opened
        fit, need = self._make_room(record, "llamacpp", choice, record.name)
        beside = self._converted(record) | wanted
        settings = self._workspace.settings
        which, how = applied(record, settings, way) if way else (record, settings)
        config = {"record": asdict(which), "settings": how.model_dump(), "adapters": sorted(beside), "cpu": choice.device == "cpu"}
        # Not forked from the warm server: it needs no torch, and what its process takes is then its own.
        opened = self._opened("engine.inference.llama_model:LlamaModel", config, "fresh")
        self._keep(record.name, Held(record.name, "llamacpp", opened, made, fit, need, beside=beside))
        return opened

    def _tuned(self, record: ModelRecord, base: ModelRecord, use: Use) -> Backend:
        # An adapter trained again under its name is another adapter.
        beside = (str(convert_adapter(self._workspace, record, base)), record.created)
        tuned = Hosted(record.name, self._llamacpp(base, use, frozenset([beside])), *beside)
        _ = tuned.facts  # Loaded now: where llama.cpp can't, transformers may.
        return tuned

    def _converted(self, base: ModelRecord) -> Beside:
        """The adapters of a base that are converted already: they come along for nothing."""
        records = [record for record in self._workspace.models.all() if record.beneath == base.name]
        return frozenset((str(path), record.created) for record in records if (path := converted(self._workspace, record, base)))

    def _host(self, base: ModelRecord, folder: Path) -> Host:
        # The same base may be loaded twice, as a GGUF for chat and as torch weights under its adapters.
        key = f"{base.name} (torch)"
        choice = Choice.of(self._workspace, base.name)
        made = f"{folder} {base.created} {choice.device} {choice.dtype} {choice.memory}"
        held = self._held.get(key)
        if held and held.made == made:
            self._held.move_to_end(key)
            return held.opened
        fit, need = self._make_room(base, "transformers", choice, key)
        settings = self._workspace.settings
        config = {
            "name": base.name, "folder": str(folder), "context": settings.context, "threads": settings.threads, "device": choice.device,
            "dtype": "float32" if settings.precise and choice.dtype == "auto" else choice.dtype,
            **({"memory": choice.memory} if choice.memory else {}),
        }  # fmt: skip
        model = "engine.inference.seq2seq_model:Seq2SeqModel" if base.kind == "seq2seq" else "engine.inference.torch_model:TorchModel"
        opened = self._opened(model, config, "warm")
        self._keep(key, Held(base.name, "transformers", opened, made, fit, need))
        return opened

    def _opened(self, model: str, config: dict[str, Any], where: Where) -> Host:
        inside = not self.hosted or self._workspace.settings.runner == "thread"
        return Host(model, config, self._workspace.paths.logs / "model.log", inside=inside, where=where)

    def _make_room(self, base: ModelRecord, engine: str, choice: Choice, key: str) -> tuple[Fit | None, int]:
        """Free an earlier load of ``key``, and the least recently used bases for as long as this one would not fit.

        Raises ``ModelError`` for one that does not fit all the same, unless it was forced.
        """
        if key in self._held:
            self._drop(key)
        fit, need = expected(self._workspace, base, engine, choice)
        for oldest in list(self._held):
            if need <= memory().free and len(self._held) < ROOM:
                break
            if not self._busy.of(self._held[oldest].name).locked():
                self._drop(oldest)
        if need > (free := memory().free) and not choice.force:
            raise ModelError(
                f"“{base.name}” does not fit: it needs about {need / GIB:.1f} GiB, and {free / GIB:.1f} GiB are free.",
                f"`fit {base.name}` shows why and what would fit; load {base.name} --force tries all the same"
                f"{'.' if engine == 'llamacpp' else f', and --memory {free / 2 / 1e9:.1f} keeps the rest on the disk, slowly.'}",
            )
        return fit, need

    def _keep(self, key: str, held: Held) -> None:
        self._held[key] = held
