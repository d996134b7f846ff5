"""What the Hub's own cache already holds, found without importing its client."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where huggingface_hub keeps its snapshots: ``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(home).expanduser() / "hub"


def snapshot(repository: str) -> Path | None:
    """The folder of the newest cached snapshot of a model's main branch, if there is one."""
    base = cache_folder() / f"models--{repository.replace('/', '--')}"
    try:
        revision = (base / "refs" / "main").read_text("ascii").strip()
    except OSError:
        return None
    folder = base / "snapshots" / revision
    return folder if folder.is_dir() else None
