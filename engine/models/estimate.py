"""The fit of a model of the workspace, of a folder, a config or a GGUF on the disk, or of a bare size such as ``7b``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import cpu_bf16, gpu_memory
from engine.errors import ModelError, NotFound
from engine.models import fit
from engine.models.gguf_header import read_header
from engine.models.shapes import from_numbers, shape_of

if TYPE_CHECKING:
    from engine.models.fit import Fit
    from engine.models.shapes import Shape
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([kmbt])$", re.IGNORECASE)
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


@dataclass(frozen=True, slots=True)
class Sized:
    """A model's shape with what its files tell: ``dtype`` or quantisation of the ``bytes`` of weights, 0 where unknown."""

    name: str
    shape: Shape
    dtype: str
    bytes: int = 0
    gguf: bool = False
    extra: int = 0
    """Bytes of an adapter on top."""

    def inference(self, *, context: int, dtype: str = "", backend: str = "") -> Fit:
        """Raises ``ValueError`` for an unknown dtype."""
        chosen = fit.dtype_of(dtype or self.dtype)
        backend = backend or ("llamacpp" if chosen.isupper() or (self.gguf and not dtype) else "transformers")
        known = self.bytes if chosen == self.dtype else 0
        found = fit.inference(self.shape, dtype=chosen, backend=backend, context=context, bytes=known or None)
        return replace(found, terms={**found.terms, "weights": found.terms["weights"] + self.extra}) if self.extra else found


def sized(workspace: Workspace, name: str) -> Sized:
    """Raises ``ModelError`` for files that are gone or can't be read, ``NotFound`` for a name that is nothing."""
    from engine.hub.pull import is_repository

    record = workspace.models.find(name)
    if record is not None:
        return of_record(workspace, record)
    if match := SIZE.match(name):
        count = int(float(match[1]) * UNITS[match[2].lower()])
        return Sized(name, from_numbers(count), "bfloat16")
    path = Path(name).expanduser()
    if path.exists():
        return of_file(name, path)
    if is_repository(name):
        raise NotFound(f"There is no model called “{name}” here.", f"Does it fit? `card {name}` tells it of a model of the Hub before it is brought.")
    return of_record(workspace, workspace.models.get(name))  # raises, with near matches


def of_record(workspace: Workspace, record: ModelRecord, *, weights: bool = False) -> Sized:
    """``weights``: of the transformers folder, where a GGUF is there too."""
    if record.kind == "adapter":
        base = of_record(workspace, workspace.models.get(record.base), weights=weights)
        return replace(base, name=record.name, extra=record.bytes)
    if record.kind == "tokenizer":
        raise ModelError(f"“{record.name}” is a tokenizer: it has no weights.", "Ask about a model.")
    if record.kind == "endpoint":
        raise ModelError(f"“{record.name}” runs on a server: it needs no memory here.", "Ask about a model of this machine.")
    has_folder = bool(record.folder) and (Path(record.folder) / "config.json").is_file()
    if record.gguf and not (weights and has_folder):
        return of_file(record.name, Path(record.gguf))
    if not has_folder:
        raise ModelError(f"The files of “{record.name}” are gone: {record.folder or record.gguf}.", f"Bring them back with: pull {record.source}")
    return of_file(record.name, Path(record.folder))


def of_file(name: str, path: Path) -> Sized:
    """Of a folder with a config.json, of such a file itself, or of a GGUF. Raises ``ModelError``."""
    folder = path if path.is_dir() else path.parent
    try:
        if path.suffix.lower() == ".gguf":
            header = read_header(path)
            return Sized(name, header.shape(), header.quantisation, path.stat().st_size, gguf=True)
        file = path / "config.json" if path.is_dir() else path
        config: dict[str, Any] = json.loads(file.read_text("utf-8"))
        size = sum(weights.stat().st_size for weights in folder.glob("*.safetensors"))
        return Sized(name, shape_of(config), fit.dtype_of(_stored(config)), size)
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.", "Give a model's name, a folder with a config.json, or a .gguf file.") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ModelError(
            f"{path} does not say how large its model is: {error}.", "Its config needs layers and width; or give a size such as 7b."
        ) from None


def precision() -> str:
    """What this machine trains and loads in: bf16 where that is native, else fp32. torch is not loaded for the question."""
    return "bf16" if cpu_bf16() or gpu_memory() else "fp32"


def loaded_dtype(asked: str = "auto", stored: str = "") -> str:
    """The dtype that transformers loads in here. Where bfloat16 is not native, a chat still decodes twice as fast with
    weights that are ``stored`` so (``engine.inference.widened``), and nothing is lost; float32 ones stay as they are."""
    return asked if asked != "auto" else "bfloat16" if precision() == "bf16" or stored == "bfloat16" else "float32"


def stored_dtype(folder: Path) -> str:
    """The dtype that a transformers folder's config names, float32 where it names none. Raises ``ModelError``."""
    try:
        return _stored(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError, AttributeError):
        raise ModelError(f"{folder / 'config.json'} can't be read.", "Bring the model again: its files are damaged.") from None


def _stored(config: dict[str, Any]) -> str:
    for part in (config, config.get("text_config") or {}):
        if found := part.get("dtype") or part.get("torch_dtype"):
            return str(found)
    return "float32"
