"""A model of the workspace as files for elsewhere: a PEFT adapter, a whole model in safetensors, or a GGUF file.

Everything is written beside its place under a hidden name, and put there at once when it is whole.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import DiskFull, ModelError
from engine.models.cards import hub_name
from engine.models.convert import trainable_folder
from engine.models.fit import BITS
from engine.models.gguf_header import read_header
from engine.models.gguf_write import FAMILIES, write_gguf
from engine.models.merge import into_base, unmergeable
from engine.models.tensors import Tensors
from engine.paths import write_json

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.models.gguf_write import Quantisation
    from engine.models.merge import Dtype
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

Form = Literal["adapter", "merged", "gguf"]
REPORT = "bittern-export.json"
"""What an export says of itself. A folder without it was not written here, and is never replaced."""
LEFT = ("README.md", "training_args.bin", REPORT)
"""Files of a model's folder that do not go along."""
SPARE = 64_000_000
"""Bytes that stay free: tokenizers and headers are not counted."""


def check_target(workspace: Workspace, folder: Path, *, force: bool) -> Path:
    """The folder to write, resolved. Raises ``ModelError`` for one that can't be, or that holds something already."""
    folder = folder.expanduser().resolve()
    if folder.is_relative_to(workspace.paths.root.resolve()):
        raise ModelError(f"{folder} is inside the workspace.", "Name a folder elsewhere: what is in the workspace looks after itself.")
    if not folder.parent.is_dir():
        raise ModelError(f"There is no folder {folder.parent}.", "Make it first, or choose another.")
    if not os.access(folder.parent, os.W_OK):
        raise ModelError(f"{folder.parent} can't be written to.", "Choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file.", "Name a folder: an export is several files.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / REPORT).is_file():
            raise ModelError(f"{folder} holds other things: it is no export of Bittern.", "Name a folder that is not there yet.")
        if not force:
            raise ModelError(f"{folder} holds an export already.", "To replace it: --force")
    return folder


def check_form(record: ModelRecord, base: ModelRecord | None, form: Form) -> None:
    """Raises ``ModelError`` for what the model can't become. ``base`` is that of an adapter."""
    if record.kind in ("tokenizer", "endpoint"):
        raise ModelError(
            f"“{record.name}” is {'an endpoint' if record.kind == 'endpoint' else 'a tokenizer'}: it has no weights here.", "Export a model."
        )
    if form == "adapter" and base is None:
        raise ModelError(f"“{record.name}” is a whole model ({record.kind}), and no adapter.", "Export it with --as merged.")
    if base is not None and form != "adapter" and "num_virtual_tokens" in _config(Path(record.folder) / "adapter_config.json"):
        raise unmergeable(Path(record.folder))
    if form == "gguf":
        whole = base or record
        family = str(_config(Path(whole.folder) / "config.json").get("model_type")) if whole.folder else read_header(Path(whole.gguf)).family
        if family not in (*FAMILIES, *FAMILIES.values()):
            raise ModelError(f"A {family} model can't be written as GGUF.", f"These can: {', '.join(FAMILIES)}. Export it with --as merged.")


def needed(record: ModelRecord, base: ModelRecord | None, form: Form, dtype: Dtype, quantisation: Quantisation) -> int:
    """About how many bytes an export takes while it is written. Raises ``ModelError`` for files that are gone."""
    if form == "adapter" or (form == "merged" and base is None):
        return record.bytes
    weights = parameters(base or record)
    merged = weights * BITS[dtype] / 8
    if form == "merged":
        return int(merged)
    # Beside the GGUF lies what it is written from, until it is whole.
    return int(weights * BITS[quantisation] / 8 + (4 * weights if base else 0))


def check_room(folder: Path, need: int) -> None:
    """Raises ``DiskFull`` where ``need`` bytes do not fit beside ``folder``."""
    free = shutil.disk_usage(folder.parent).free
    if need + SPARE > free:
        raise DiskFull(
            f"The export takes about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder.parent}.",
            "Free some space, choose another disk, or write fewer bits (--dtype bfloat16, --quantisation Q8_0).",
        )


def parameters(record: ModelRecord) -> int:
    """How many numbers a model's files hold, by their headers. Raises ``ModelError``."""
    if record.folder and Path(record.folder).is_dir():
        found = Tensors(Path(record.folder))
        return sum(math.prod(found.shape(name)) for name in found.names())
    return sum(math.prod(dimensions) for dimensions, _ in read_header(Path(record.gguf)).tensors.values())


def write(
    job: JobContext, record: ModelRecord, form: Form, folder: Path, *, dtype: Dtype = "float32", quantisation: Quantisation = "F16"
) -> Path:  # fmt: skip
    """Write an export into ``folder``, which is made; returns what is to be loaded: the folder, or its GGUF file.

    Raises ``ModelError``, ``Stopped``; ``OSError`` for a full disk.
    """
    base = job.workspace.models.get(record.beneath) if record.beneath else None
    whole = trainable_folder(job, base or record) if form != "adapter" else Path(record.folder)
    folder.mkdir(parents=True)
    job.progress(0, None, "step", "writing the adapter" if form == "adapter" else "joining the weights" if base else "writing the weights")
    if form == "adapter":
        _copy(whole, folder)
        _name_base(folder, base)
        return folder
    if base is None and form == "merged":
        _copy(whole, folder)
        return folder
    if form == "merged":
        into_base(whole, [Path(record.folder)], [1.0], "cat", folder, dtype)
        job.check()
        return folder
    return _gguf(job, record, base, whole, folder, quantisation)


def _gguf(job: JobContext, record: ModelRecord, base: ModelRecord | None, whole: Path, folder: Path, quantisation: Quantisation) -> Path:
    out = folder / f"{record.name}-{quantisation}.gguf"

    def step(done: int, total: int) -> None:
        job.check()
        job.progress(done, total, "tensor", f"writing {out.name}")

    merged = folder / ".merged"
    try:
        if base is not None:
            into_base(whole, [Path(record.folder)], [1.0], "cat", merged)
            job.check()
        write_gguf(merged if base is not None else whole, out, quantisation, step)
    finally:
        shutil.rmtree(merged, ignore_errors=True)
    return out


def _copy(source: Path, folder: Path) -> None:
    """The files of a model, none of the hidden ones. Links are followed: a model of the Hub's cache is made of them."""
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT, ".*"))


def _name_base(folder: Path, base: ModelRecord | None) -> None:
    """Name the base by its place on the Hub where it has one: a path of this machine says nothing elsewhere."""
    file = folder / "adapter_config.json"
    if base and (known := hub_name(base)):
        write_json(file, {**_config(file), "base_model_name_or_path": known, **({"revision": base.revision} if base.revision else {})})


def _config(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} can't be read: {error}.", "Bring the model again: its files are damaged.") from None
    return found
