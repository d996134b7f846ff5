"""The Command that measures how a model runs fastest on this machine, and remembers it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Work
from engine.errors import ModelError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.inference.fastest import Way
    from engine.inference.race import Figures
    from engine.jobs.context import JobContext
    from engine.models.quantise import Kind
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

LOSS = 1.02
"""A quantisation may raise the perplexity to this much of what it was; one that raises it more is refused."""

READ = 250
"""Tokens of the guide that a perplexity is measured on."""


class Tune(Work):
    """Measure how a GGUF model runs fastest on this machine, and run it that way from now on.

    Its weights are quantised anew (what raises the perplexity by more than 2 % is refused), then quantisations
    and threads are raced in short rounds. The fastest for a chat is used by the next loading; --forget takes it back.
    """

    verb = "tune"
    effect = "compute"
    words = ("model",)
    where = "fresh"
    examples = ("tune smollm2", "tune --rounds 5", "tune smollm2 --forget")
    completes = {"model": "models"}

    model: str = Field("", description="Which model (the one in use)")
    quantisations: list[Literal["Q8_0", "Q4_0"]] = Field(["Q8_0", "Q4_0"], description="Weights to try beside the file's own: Q8_0,Q4_0")
    rounds: int = Field(3, ge=1, le=50, description="Rounds that each way is measured in; the median counts")
    forget: bool = Field(False, description="Take back what was remembered, and measure nothing")

    def prepare(self, desk: Desk) -> Tune:
        record = desk.models.record(self.model)
        if not record.gguf:
            raise ModelError(
                f"“{record.name}” runs on {'its base' if record.beneath else 'transformers'}: there is no GGUF to run in other ways.",
                "tune measures GGUF models; `models` says what each one runs on.",
            )
        return self.model_copy(update={"model": record.name})

    def ready(self, desk: Desk) -> Result | None:
        from engine.inference.fastest import forget

        if not self.forget:
            return None
        had = forget(desk.workspace, desk.models.record(self.model))
        desk.models.unload(self.model)
        _tidy(desk.workspace, self.model, set())
        said = f"{self.model} runs as its file is again." if had else f"Nothing was remembered for {self.model}."
        return Result(said, {"model": self.model, "forgotten": list(had)})

    def work(self, job: JobContext) -> Result:
        from engine.inference.fastest import USES, fastest, remember

        record = job.workspace.models.get(self.model)
        kept = {way.gguf for use in USES if (way := fastest(job.workspace, record, use))}
        try:
            files, qualities = self._files(job, record)
            found = self._race(job, record, files)
            best = {use: min(found, key=lambda figures: figures.seconds(use)).way for use in USES}
            for use, way in best.items():
                remember(job.workspace, record, use, way)
            kept = {way.gguf for way in best.values()}
        finally:
            # Also after a stop: what lost, and what was never measured, is not left behind.
            _tidy(job.workspace, record.name, kept)
        job.changed("models", record.name)
        return _told(record, found, best, qualities)

    def _race(self, job: JobContext, record: ModelRecord, files: dict[str, Path]) -> list[Figures]:
        """Quantisations first, then threads for the best of them: not every way with every other is worth the time."""
        from engine.devices import cores
        from engine.inference.fastest import USES, Way

        first = [Way(str(file), name, cores()) for name, file in files.items()]
        found = self._raced(job, record, first, "quantisations")
        best = {min(found, key=lambda figures: figures.seconds(use)).way for use in USES}
        more = [Way(way.gguf, way.quantisation, threads) for way in best for threads in {1, max(1, cores() // 2)}]
        # The file as it is and the best so far run again beside them: the machine may be busier now than it was.
        last = list(dict.fromkeys([first[0], *best, *(way for way in more if way not in first)]))
        return [figures for figures in found if figures.way not in last] + self._raced(job, record, last, "threads")

    def _files(self, job: JobContext, record: ModelRecord) -> tuple[dict[str, Path], list[dict[str, Any]]]:
        """The weights to race, by name, and what the perplexity of each is, refused ones included."""
        from engine.inference.perplexity import perplexity
        from engine.models.gguf_header import read_header
        from engine.search.guide import guide_rows

        source = Path(record.gguf)
        own = read_header(source).quantisation
        text = "\n\n".join(row["text"] for row in guide_rows())

        def measured(file: Path) -> float:
            def step(done: int, total: int) -> None:
                job.check()
                job.progress(done, total, "token", f"perplexity of {file.name}")

            step(0, READ)
            return perplexity(file, text, READ, step)

        was = measured(source)
        files, qualities = {own: source}, [{"quantisation": own, "perplexity": was, "ratio": 1.0, "refused": ""}]
        for kind in self.quantisations:
            if kind == own:
                continue
            file = _file(job.workspace, record.name, kind)
            if refused := self._make(job, source, file, kind):
                qualities.append({"quantisation": kind, "perplexity": None, "ratio": None, "refused": refused})
                continue
            now = measured(file)
            refused = f"perplexity {was:.2f} to {now:.2f}: {100 * (now / was - 1):+.1f} %" if now > was * LOSS else ""
            qualities.append({"quantisation": kind, "perplexity": now, "ratio": now / was, "refused": refused})
            if refused:
                job.log(f"{kind} is refused, {refused}")
            else:
                files[kind] = file
        return files, qualities

    def _make(self, job: JobContext, source: Path, file: Path, kind: Kind) -> str:
        """Write ``file``, where it would fit into memory; returns why not, or an empty text."""
        from engine.devices import memory
        from engine.models.quantise import bytes_of, quantise

        need, free = bytes_of(source, kind), memory().free
        if need > free / 2:
            return f"{need / 1e9:.1f} GB, more than half of what is free ({free / 1e9:.1f} GB)"

        def step(done: int, total: int) -> None:
            job.check()
            job.progress(done, total, "tensor", f"writing {file.name}")

        if not file.is_file() or file.stat().st_mtime < source.stat().st_mtime:
            quantise(source, file, kind, step)
        return ""

    def _raced(self, job: JobContext, record: ModelRecord, ways: list[Way], what: str) -> list[Figures]:
        from engine.inference.race import race

        def step(done: int, total: int) -> None:
            job.check()
            job.progress(done, total, "turn", f"measuring {what}")

        return race(record, job.workspace.settings, ways, self.rounds, step)


def _file(workspace: Workspace, model: str, kind: Kind) -> Path:
    """Where weights that were made to be raced lie; `load --quantise` keeps its own under another name."""
    return workspace.paths.models / f"{model}.tuned-{kind}.gguf"


def _tidy(workspace: Workspace, model: str, kept: set[str]) -> None:
    """Remove the weights that were made for ``model``, but those in ``kept``."""
    from engine.models.quantise import KINDS

    for kind in KINDS:
        file = _file(workspace, model, kind)
        if str(file) not in kept:
            with suppress(OSError):  # another process may have it open
                file.unlink(missing_ok=True)


def _told(record: ModelRecord, found: list[Figures], fastest: dict[Any, Way], qualities: list[dict[str, Any]]) -> Result:
    ways: list[dict[str, Any]] = [
        {
            "quantisation": figures.way.quantisation, "threads": figures.way.threads, "prefill": figures.prefill,
            "decode": figures.decode, "chat_seconds": figures.chat, "batch_seconds": figures.batch,
            "fastest_for": [use for use, way in fastest.items() if way == figures.way],
        }
        for figures in sorted(found, key=lambda figures: figures.chat)
    ]  # fmt: skip
    rows = [
        [way["quantisation"], str(way["threads"]), f"{way['prefill']:.0f}", f"{way['decode']:.1f}",
         f"{way['chat_seconds']:.2f}", f"{way['batch_seconds']:.2f}", ", ".join(way["fastest_for"])]
        for way in ways
    ]  # fmt: skip
    chat = fastest["chat"]
    first = max((figures for figures in found if figures.way.gguf == record.gguf), key=lambda figures: figures.way.threads)
    best = next(figures for figures in found if figures.way == chat)
    lines = [
        f"{record.name} runs as {chat.quantisation} on {chat.threads} threads: "
        f"a chat turn in {best.chat:.2f} s, where its file as it is takes {first.chat:.2f} s."
    ]
    lines += [f"{quality['quantisation']} was refused: {quality['refused']}." for quality in qualities if quality["refused"]]
    columns = ["weights", "threads", "prefill tok/s", "decode tok/s", "chat s", "batch s", "fastest for"]
    return Result("\n".join(lines), {"model": record.name, "ways": ways, "perplexity": qualities}, Table(columns, rows), opens=f"model:{record.name}")
