"""What a job is made with: the versions of the libraries and the machine. Kept in its ``job.json``, so that a report can say it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.devices import cores, gpu_memory, memory

LIBRARIES = (
    "bittern", "torch", "transformers", "peft", "datasets", "tokenizers", "accelerate", "evaluate", "scikit-learn", "sacrebleu", "jiwer", "numpy",
)  # fmt: skip


@cache
def surroundings() -> dict[str, Any]:
    """``libraries`` by name with their versions, and ``machine`` in a few words; bytes of memory. No host or person is named."""
    return {
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}", "cores": cores(), "memory": memory().total,
            "gpus": [gpu.name for gpu in gpu_memory()],
        },
    }  # fmt: skip


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
