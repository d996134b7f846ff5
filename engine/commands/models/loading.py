"""Loading models into memory, and freeing them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.system import human
from engine.errors import BitternError, ModelError, explain
from engine.events import CatalogChanged
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.inference.pool import ModelPool
    from engine.inference.protocol import Facts
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord

Quantise = Literal["", "F16", "Q8_0", "Q4_0", "int8", "nf4"]


class Load(Work):
    """Load a model into memory before it is needed, and choose where and how; the choice is kept for later chats.

    The least recently used models are freed where memory is short. `--quantise Q8_0` or `Q4_0` writes a GGUF of a
    LLaMA, Mistral or Qwen2 model once and chats through llama.cpp; `int8` and `nf4` need a CUDA GPU and bitsandbytes
    (untested here). A model larger than memory runs all the same with `--memory`, a layer at a time from the disk.
    """

    verb = "load"
    effect = "compute"
    slot = "io"
    where = "thread"
    words = ("model",)
    examples = ("load smollm2", "load mine --quantise Q8_0", "load mine --engine transformers --dtype float32 --device cpu", "load large --memory 8")
    completes = {"model": "models"}

    model: str = Field("", description="A chat model or an adapter (the one in use)")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where it runs; auto takes a GPU where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Of the weights, through transformers")
    quantise: Quantise = Field("", description="Fewer bits a weight: Q8_0, Q4_0, F16 (GGUF); int8, nf4 (GPU)")
    engine: Literal["", "llamacpp", "transformers"] = Field("", description="What runs it, where it can run on more than one")
    memory: float = Field(0, ge=0, description="GB of weights that may be in memory, the rest stays on the disk: slow (0: all)")
    force: bool = Field(False, description="Try even where the estimate says that it does not fit")

    def title(self) -> str:
        return f"load {self.model or 'the model in use'}"

    def prepare(self, desk: Desk) -> Load:
        record = desk.models.record(self.model)
        if record.kind == "endpoint":
            raise ModelError(f"“{record.name}” runs on a server: there is nothing to load here.", f"It answers at once: chat --model {record.name}")
        if self.dtype != "auto" and self.quantise:
            raise BitternError("A model has one dtype.", "Give --dtype or --quantise.")
        base = desk.workspace.models.get(record.beneath) if record.beneath else record
        if base.gguf and self.engine != "transformers" and base.facts.get("engine") != "transformers":
            if self.dtype != "auto":
                raise ModelError(
                    f"“{base.name}” runs through llama.cpp, in the types of its GGUF file.", "Add --engine transformers, or leave --dtype out."
                )
            if self.memory:
                raise ModelError(
                    f"“{base.name}” runs through llama.cpp, which leaves its file on the disk where memory is short.",
                    "Leave --memory out and add --force, or add --engine transformers.",
                )
        if self.memory and self.quantise:
            raise BitternError("A quantised model is in memory as a whole.", "Give --memory or --quantise.")
        if self.memory and base.kind != "chat":
            raise ModelError(f"“{base.name}” is a {base.kind}: only a chat model runs with a part of it on the disk.", "Leave --memory out.")
        if self.memory and record.beneath:
            raise ModelError(
                f"“{record.name}” is an adapter: its base has to be in memory as a whole.",
                f"Join them: merge {record.name}; then load what comes out.",
            )
        return self.model_copy(update={"model": record.name})

    def work(self, job: JobContext) -> Result:
        from engine.inference.held import Choice
        from engine.inference.pool import pool_of

        pool = pool_of(job.workspace)
        base = self._base(job, pool)
        before = Choice.of(job.workspace, base.name)
        Choice(self.device, self.quantise if self.quantise in ("int8", "nf4") else self.dtype, self.force, int(self.memory * 1e9)).keep(
            job.workspace, base.name
        )
        began = time.monotonic()
        try:
            self._quantise(job, base)
            facts = _open(job, pool, self.model, base.name)
        except BaseException:
            before.keep(job.workspace, base.name)
            if (now := job.workspace.models.find(base.name)) is not None and now.facts != base.facts:
                job.workspace.models.put(base)
            raise
        job.changed("models", base.name)
        held = next(held for held in reversed(pool.loaded()) if held.name == base.name)
        data = {**held.as_data(), "model": self.model, "base": base.name, "seconds": round(time.monotonic() - began, 2), "note": facts.note}
        stays = "" if pool.hosted else " This command ends now, and frees it; the screen keeps what it loads."
        took = "takes" if data["measured"] else "about"
        said = f"{self.model}: {facts.backend} on {facts.device}, {facts.quantisation or 'as in its file'}, {took} {human(data['bytes'])}."
        return Result(f"{said}{' ' + facts.note + '.' if facts.note else ''}{stays}", data, opens=f"model:{self.model}")

    def _base(self, job: JobContext, pool: ModelPool) -> ModelRecord:
        record = pool.record(self.model)
        return job.workspace.models.get(record.beneath) if record.beneath else record

    def _quantise(self, job: JobContext, base: ModelRecord) -> None:
        from dataclasses import replace
        from pathlib import Path

        models = job.workspace.models
        if self.quantise in ("F16", "Q8_0", "Q4_0"):
            from engine.models.gguf_write import write_gguf

            if not base.folder:
                raise ModelError(f"“{base.name}” is a GGUF file already.", "Pull its transformers folder to choose another quantisation.")
            out = job.workspace.paths.models / f"{base.name}-{self.quantise}.gguf"

            def step(done: int, total: int) -> None:
                job.check()
                job.progress(done, total, "tensor", f"writing {out.name}, once")

            if not out.is_file() or out.stat().st_mtime < (Path(base.folder) / "config.json").stat().st_mtime:
                write_gguf(Path(base.folder), out, self.quantise, step)
            models.put(replace(base, gguf=str(out), facts={**base.facts, "quantisation": self.quantise, "engine": "llamacpp"}))
        elif self.quantise:
            models.put(replace(base, facts={**base.facts, "engine": "transformers"}))
        elif self.engine:
            if not (base.gguf if self.engine == "llamacpp" else base.folder):
                raise ModelError(
                    f"“{base.name}” has no files for {self.engine}.", "`load NAME --quantise Q8_0` writes a GGUF; training converts a GGUF."
                )
            models.put(replace(base, facts={**base.facts, "engine": self.engine}))


def _open(job: JobContext, pool: ModelPool, name: str, base: str) -> Facts:
    """Load on a thread, and report the memory that it takes meanwhile. Raises ``ModelError``; ``Stopped``."""
    from engine.inference.held import Growth

    found: list[Facts] = []
    failed: list[BaseException] = []
    over, left = threading.Event(), threading.Event()

    def load() -> None:
        try:
            with pool.use(name) as backend:
                found.append(backend.facts)
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()
            if left.is_set() and found:
                with suppress(ModelError):
                    pool.unload(base)

    threading.Thread(target=load, name="load", daemon=True).start()
    growth = Growth(pool, base)
    try:
        while not over.wait(0.1):
            job.check()
            job.progress(*growth.megabytes(), "MB", f"loading {name}")
    except BaseException:
        # What is loaded in this process can't be stopped in the middle: it is freed as soon as it is there.
        left.set()
        while pool.abandon(base) and not over.wait(0.2):
            pass  # Its process may just be starting.
        raise
    if failed:
        raise explain(failed[0])
    return found[0]


class Unload(Now):
    """Free the memory of a loaded model, or of all that are not answering."""

    verb = "unload"
    effect = "write"
    words = ("model",)
    examples = ("unload", "unload smollm2")
    completes = {"model": "models"}

    model: str = Field("", description="Which one (all)")

    def run(self, desk: Desk) -> Result:
        if self.model:
            desk.workspace.models.get(self.model)
        freed = desk.models.unload(self.model)
        desk.publish(CatalogChanged(what="models", name=self.model))
        said = f"Freed: {', '.join(freed)}." if freed else f"“{self.model}” is not loaded." if self.model else "Nothing is loaded."
        return Result(said, {"freed": freed})


class Loaded(Now):
    """Show what is in memory: on which device, in which dtype, how many bytes, with which adapters, and when last used."""

    verb = "loaded"
    examples = ("loaded",)

    def run(self, desk: Desk) -> Result:
        from engine.devices import memory

        free = memory()
        found = [held.as_data() for held in desk.models.loaded()]
        data = {"loaded": found, "free": free.free, "total": free.total}
        rows = [
            [entry["model"], entry["engine"], entry["device"], entry["dtype"], _size(entry), _adapters(entry), entry["used"][11:19]]
            for entry in found
        ]
        table = Table(["model", "engine", "device", "dtype", "memory", "adapters", "used (UTC)"], rows) if rows else None
        return Result(
            f"{len(found) or 'No'} model{'' if len(found) == 1 else 's'} in memory; {human(free.free)} of {human(free.total)} are free.", data, table
        )


def _size(entry: dict[str, Any]) -> str:
    return human(entry["bytes"]) if entry["measured"] else f"about {human(entry['bytes'])}"


def _adapters(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name} (on)" if name == entry["active"] else name for name in entry["adapters"])
