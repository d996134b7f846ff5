"""Which files of a repository to take: the weights once, in a format that can run no code, and what loading needs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from engine.errors import HubError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = ("*.json", "*.txt", "*.model", "*.jinja", "*.md", "*.tiktoken", "LICENSE*")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
USUAL = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "IQ4_NL", "MXFP4", "Q4_1", "Q5_K_M", "Q5_0", "Q8_0")
"""Quantisations in the order in which one is taken unasked, where it fits."""
ROOM_FACTOR = 1.15
"""A model in memory beside its file: the cache of a few thousand tokens and the working buffers."""
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_QUANTISATION = re.compile(r"(?<![A-Za-z0-9])((?:UD[-_])?(?:IQ\d\w*|Q\d\w*|TQ\d_\d|MXFP4\w*|BF16|FP?16|FP?32))(?=[-.]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantisation:
    """One of several GGUF files (or sets of parts) of the same model. ``bytes`` of all its parts."""

    name: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Choice:
    """``files`` to take. ``gguf`` is the file to load (of several parts the first), ``mmproj`` the projector of a model
    that sees, ``quantisation`` what ``gguf`` is; empty where the weights are safetensors. ``why`` is told."""

    files: tuple[str, ...]
    gguf: str = ""
    mmproj: str = ""
    quantisation: str = ""
    why: str = ""


def quantisations(files: Mapping[str, int]) -> list[Quantisation]:
    """The GGUF models of a repository (``{name: bytes}``), the smallest first; projectors are not among them."""
    sets: dict[str, list[str]] = {}
    for name in sorted(files):
        if name.endswith(".gguf") and not _projects(name):
            sets.setdefault(_PART.sub("", name), []).append(name)
    labels = Counter(_label(stem) for stem in sets)
    found = []
    for stem, parts in sets.items():
        label = _label(stem)
        # Two files of one quantisation (two models in one repository) go by their names.
        name = label if label and labels[label] == 1 else stem.removesuffix(".gguf")
        found.append(Quantisation(name, tuple(parts), sum(files[part] for part in parts)))
    return sorted(found, key=lambda item: (item.bytes, item.name))


def choose(files: Mapping[str, int], file: str = "", quantisation: str = "", room: int = 0) -> Choice:
    """What to take of ``{name: bytes}``. ``file`` or ``quantisation`` says which weights; ``room`` is the memory, in
    bytes, that a GGUF model may take (0: not known).

    Raises ``HubError`` that lists what there is.
    """
    small = tuple(name for name in files if _inside(name) and any(fnmatch(name, pattern) for pattern in SMALL))
    if file:
        return _named(files, file, small)
    if "adapter_config.json" in files and not quantisation:
        if "adapter_model.safetensors" not in files:
            raise HubError("This adapter has no adapter_model.safetensors.", "Bittern loads no pickled weights. Look for a safetensors revision.")
        return Choice((*small, "adapter_model.safetensors"))
    weights = _safetensors(files)
    if weights and not quantisation:
        return Choice((*small, *weights))
    there = quantisations(files)
    if there:
        return _gguf(files, _pick(there, quantisation, room), small, there)
    if quantisation:
        raise HubError(f"There is no {quantisation}: this repository has no GGUF file.", "Leave --quantisation away to take its safetensors.")
    raise HubError(*_nothing(files))


def _safetensors(files: Mapping[str, int]) -> tuple[str, ...]:
    weights = [name for name in files if _inside(name) and name.endswith(".safetensors")]
    if any(name.startswith("model") for name in weights):
        weights = [name for name in weights if not name.startswith(("consolidated", "original"))]
    if "model.safetensors" in weights:
        # The same weights again, in parts or at another precision.
        weights = [name for name in weights if not re.match(r"model[.-][^/]+\.safetensors$", name) or name == "model.safetensors"]
    return tuple(weights)


def _named(files: Mapping[str, int], file: str, small: tuple[str, ...]) -> Choice:
    if file not in files:
        models = [name for name in files if name.endswith((".gguf", ".safetensors"))]
        raise HubError(f"There is no file {file} in this repository.", did_you_mean(file, models) or f"It has {_listed(models)}.")
    if file.endswith(PICKLES):
        raise HubError(f"{file} holds pickled weights, which can run code when they are read.", "Take a .safetensors or .gguf file instead.")
    there = quantisations(files)
    if found := next((item for item in there if file in item.files), None):
        return _gguf(files, found, small, there, told=False)
    if not file.endswith(".safetensors"):
        raise HubError(f"{file} holds no weights that can be used.", "Take a .safetensors or .gguf file.")
    return Choice((*small, file))


def _gguf(files: Mapping[str, int], taken: Quantisation, small: tuple[str, ...], there: list[Quantisation], *, told: bool = True) -> Choice:
    projectors = sorted((name for name in files if _projects(name)), key=lambda name: (_rank(name), files[name], name))
    beside = tuple(name for name in small if not name.endswith(".json") or name in ("config.json", "generation_config.json"))
    others = ", ".join(item.name for item in there if item is not taken)
    why = f"{taken.name} was taken; there are also {others}: --quantisation takes another." if told and others else ""
    return Choice((*beside, *taken.files, *projectors[:1]), taken.files[0], projectors[0] if projectors else "", taken.name, why)


def _pick(there: list[Quantisation], wanted: str, room: int) -> Quantisation:
    """The one asked for, or the usual one that fits, or the largest that fits, or the smallest of all."""
    if wanted:
        named = {item.name.lower(): item for item in there}
        if found := named.get(wanted.lower()):
            return found
        raise HubError(f"There is no quantisation {wanted} here.", f"There are {', '.join(told(item) for item in there)}.")
    fitting = [item for item in there if not room or item.bytes * ROOM_FACTOR <= room]
    named = {item.name.upper(): item for item in fitting}
    if found := next((named[name] for name in USUAL if name in named), None):
        return found
    return fitting[-1] if fitting and room else there[0]


def told(item: Quantisation) -> str:
    """A quantisation in a list: its name and its size."""
    return f"{item.name} ({size(item.bytes)})"


def size(count: float) -> str:
    """Bytes in words: ``98.3 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _nothing(files: Mapping[str, int]) -> tuple[str, str]:
    """Why nothing of a repository can be taken, and the way out."""
    if "model_index.json" in files:
        return "This is a diffusion pipeline: a folder of several models.", "Pictures are made with another kind of model than chat: see the guide."
    pickled = [name for name in files if name.endswith(PICKLES)]
    if pickled:
        return (
            f"There are only pickled weights here ({_listed(pickled)}), which can run code when they are read.",
            "Look for a revision or another repository with safetensors or GGUF.",
        )
    other = [name for name in files if not any(fnmatch(name, pattern) for pattern in SMALL) and not name.startswith(".")]
    has = f"It has {_listed(other)}." if other else "It has no weights at all."
    return f"There is no safetensors and no GGUF file here. {has}", "Look for another repository of the same model: find."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _inside(name: str) -> bool:
    # sentence-transformers keeps its modules in folders like 1_Pooling and 2_Dense.
    return "/" not in name or re.match(r"\d+_\w+/[^/]+$", name) is not None


def _projects(name: str) -> bool:
    return name.endswith(".gguf") and "mmproj" in name.lower()


def _rank(name: str) -> int:
    """Projectors are small and lose most by quantisation: half precision first."""
    label = _label(name)
    return 0 if label in ("F16", "FP16") else 1 if label == "BF16" else 2


def _label(name: str) -> str:
    found = _QUANTISATION.findall(_PART.sub("", name).removesuffix(".gguf"))
    return found[-1].upper().replace("UD_", "UD-") if found else ""
