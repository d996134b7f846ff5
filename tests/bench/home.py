"""The workspace that benchmarks share: the starter models, fetched once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.store.workspace import Workspace


def bench_home(*models: str) -> Workspace:
    """A workspace with the starter models in it: ``BITTERN_BENCH_HOME``, or a folder that is kept between runs."""
    from engine.jobs.context import CancelToken, JobContext
    from engine.models.starter import fetch
    from engine.store.workspace import Workspace

    workspace = Workspace(Path(os.environ.get("BITTERN_BENCH_HOME") or Path(tempfile.gettempdir()) / "bittern-bench"))
    for name in models:
        job = JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False)
        job.folder.mkdir(parents=True, exist_ok=True)
        fetch(job, name)
    return workspace
