"""Datasets of the Hub, whole or their first rows as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.read import full_disk, said_by, taken
from engine.errors import BitternError, DataError, HubError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.data.options import Options
    from engine.jobs.context import JobContext


def from_hub(job: JobContext, repository: str, cache: Path, options: Options, notes: list[str]) -> dict[str, Any]:
    """The splits of a dataset, or the one asked for. Raises ``HubError``, ``DataError``, ``Stopped``."""
    from engine.hub.probe import endpoint, reachable
    from engine.hub.pull import explain_hub

    if not reachable(job.workspace.settings):
        raise HubError(f"The Hub at {endpoint()} does not answer, so {repository} can't be added.", "Check the network, or add a file or a folder.")
    from datasets import load_dataset

    what = {"name": options.subset or None, "revision": options.revision or None, "split": options.split or None}
    try:
        found = load_dataset(repository, cache_dir=str(cache), streaming=bool(options.rows), **what)
        splits = dict(found) if isinstance(found, dict) else {options.split.split("[")[0]: found}
        if options.rows:
            splits = {split: taken(job, stream, options.rows, cache / "taken") for split, stream in splits.items()}
            notes.append(f"Streamed: only the first {options.rows:,} rows of each split were fetched.")
    except BitternError:
        raise
    except (ValueError, RuntimeError) as error:
        full_disk(error)
        job.check()
        raise _explained(repository, error) from error
    except Exception as error:
        full_disk(error)
        job.check()
        raise explain_hub(error, repository) from error
    return splits


def _explained(repository: str, error: BaseException) -> DataError:
    import re

    said = said_by(error)
    refused = DataError(
        f"{repository} can't be read: {said}", "A dataset with several parts needs --subset NAME; one with a script is not supported."
    )
    if match := re.search(r"(?:available configs|Available): \[([^\]]*)\]", said):
        for name in re.findall(r"'([^']+)'", match[1])[:6]:
            refused.offer(f"add its part “{name}”", subset=name)
    return refused
