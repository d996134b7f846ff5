"""Datasets of the Hub, whole or their first rows as a stream."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from engine.data.reading.read import full_disk, prepared, said_by
from engine.errors import BitternError, DataError, HubError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.data.reading.options import Options
    from engine.jobs.context import JobContext


LOOK = 0.2
"""Seconds between two looks at whether a stop was asked for."""


def from_hub(job: JobContext, repository: str, cache: Path, options: Options, notes: list[str]) -> dict[str, Any]:
    """The splits of a dataset, or the one asked for. Raises ``HubError``, ``DataError``, ``Stopped``."""
    from engine.hub.client import api, explain_hub

    api(job.workspace.settings, f"{repository} can't be added", "Check the network, or add a file or a folder.")
    from datasets import load_dataset, load_dataset_builder
    from datasets.exceptions import DatasetNotFoundError

    what = {"name": options.subset or None, "revision": options.revision or None, "cache_dir": str(cache)}
    try:
        if not options.rows:
            builder = load_dataset_builder(repository, **what)
            _promptly(job, lambda: _bring(job, builder))
            return prepared(job, builder, options.split)
        found = load_dataset(repository, split=options.split or None, streaming=True, **what)
        streams = found if isinstance(found, dict) else {options.split: found}
        notes.append(f"Streamed: only the first {options.rows:,} rows of each split were fetched.")
        return {split: taken(job, stream, options.rows, cache / "taken") for split, stream in streams.items()}
    except DatasetNotFoundError:
        message = f"The Hub has no dataset {repository}{f' at {options.revision}' if options.revision else ''}, or it is private or gated."
        raise HubError(message, "Check the spelling: owner/name. For a private or gated one ask for access on its page, then `login`.") from None
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


def _bring(job: JobContext, builder: Any) -> None:
    """Download the files that a builder will read, into the Hub's cache, where it finds them: with bytes, cancel and
    resume, which the readers' own downloads have not."""
    from engine.hub.pull import pull_files

    wanted: dict[tuple[str, str], list[str]] = {}
    for files in (builder.config.data_files or {}).values():
        for file in files:
            if match := re.match(r"hf://datasets/([^/@]+/[^/@]+)@([0-9a-f]{40})/([^*]+)$", unquote(str(file))):
                wanted.setdefault((match[1], match[2]), []).append(match[3])
    for (repository, sha), names in wanted.items():
        pull_files(job, repository, sha, names, "dataset")


def _promptly(job: JobContext, work: Callable[[], None]) -> None:
    """Do it on a thread that nobody waits for once a stop was asked: a slow network answers no sooner than its next piece
    comes. The thread ends with that piece, and what it has is gone on with the next time. Raises ``Stopped``, and what
    ``work`` raises."""
    over, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # it is raised where the job is
            failed.append(error)
        finally:
            over.set()

    threading.Thread(target=run, name="fetching", daemon=True).start()
    while not over.wait(LOOK):
        job.check()
    if failed:
        raise failed[0]


def taken(job: JobContext, stream: Any, rows: int, folder: Path) -> Any:
    """The first ``rows`` rows of a stream, written to ``folder`` as they come. Raises ``Stopped``, ``DataError``."""
    import pyarrow as pa
    from datasets import Dataset

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{len(list(folder.iterdir()))}.arrow"
    writer, done = None, 0
    with pa.OSFile(str(target), "wb") as file:
        for table in stream.take(rows).with_format("arrow").iter(min(rows, 1000)):
            job.check()
            if writer is None:
                schema = stream.features.arrow_schema if stream.features else table.schema
                writer = pa.ipc.new_stream(file, schema)
            writer.write_table(table.cast(schema) if table.schema != schema else table)
            done += table.num_rows
            job.progress(done, rows, "rows", "taking")
        if writer is None:
            raise DataError("There are no rows to take.", "Look at the source.")
        writer.close()
    return Dataset.from_file(str(target))


def _explained(repository: str, error: BaseException) -> DataError:
    said = said_by(error)
    if match := re.search(r"available configs: \[([^\]]*)\]", said):
        parts = re.findall(r"'([^']+)'", match[1])
        refused = DataError(f"{repository} has {len(parts)} parts: {', '.join(parts[:20])}.", "Say which one: --subset NAME.")
        for name in parts[:6]:
            refused.offer(f"add its part “{name}”", subset=name)
        return refused
    return DataError(f"{repository} can't be read: {said}", "One that needs a script to be read is not supported.")
