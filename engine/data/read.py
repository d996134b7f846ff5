"""Reads a source with the packaged readers of ``datasets``; a reader's refusal becomes an error that says where."""

from __future__ import annotations

import errno
import glob
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.data import check
from engine.errors import BitternError, DataError, HubError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.data.sources import Source
    from engine.jobs.context import JobContext


def read(job: JobContext, source: Source, cache: Path, *, delimiter: str, encoding: str, by: str, revision: str, subset: str) -> dict[str, Any]:
    """The splits of a source as ``datasets.Dataset``s, mapped from Arrow files below ``cache``.

    Raises ``DataError``, ``HubError``, ``Stopped``; ``OSError`` for a full disk.
    """
    import datasets

    datasets.utils.logging.set_verbosity(datasets.utils.logging.CRITICAL)
    with _reporting(job, cache):
        if source.repository:
            return _from_hub(job, source.repository, cache, revision, subset)
        options = _options(job, source, delimiter, encoding, by)
        try:
            return _load(source, cache, options)
        except Exception as error:
            _full_disk(error)
            job.check()
            if source.reader == "json" and (fault := _json_fault(job, source, encoding)):
                raise fault from error
            if source.reader != "csv":
                raise _explained(source, error) from error
            job.log("The columns change their type on the way; reading the file once more to find types that fit every row.")
            try:
                return _load(source, cache / "again", {**options, "features": _csv_features(job, source, options)})
            except BitternError:
                raise
            except Exception as second:
                _full_disk(second)
                raise _explained(source, second) from second


def _load(source: Source, cache: Path, options: dict[str, Any]) -> dict[str, Any]:
    from datasets import load_dataset

    # The paths are names, not patterns, even with brackets in them.
    files = {split: [glob.escape(str(path)) for path in paths] for split, paths in source.files.items()}
    return dict(load_dataset(source.reader, data_files=files, cache_dir=str(cache), **options))


def _options(job: JobContext, source: Source, delimiter: str, encoding: str, by: str) -> dict[str, Any]:
    """Check the files as far as that is cheap, and choose what to tell the reader."""
    files = source.every
    empty = next((path for path in files if path.stat().st_size == 0), None)
    if empty is not None:
        raise DataError(f"{empty.name} is empty.", "There is nothing in it to add.")
    if source.reader == "csv":
        layout = check.csv_layout(files[0], delimiter, encoding)
        layout = [check.check_csv(job, path, layout) for path in files][-1]
        # Only an empty field is nothing: “NA”, “null” and “None” are words that a text may well hold.
        return {"sep": layout.delimiter, "encoding": layout.encoding, "quoting": layout.quoting, "keep_default_na": False, "na_values": [""]}
    if source.reader == "json":
        # Before the reader sees it: its native code does not survive everything that calls itself JSON.
        if fault := _json_fault(job, source, encoding, strict=False):
            raise fault
        return {"encoding": encoding or "utf-8", "parse_agent_traces": False}
    if source.reader == "parquet":
        for path in files:
            check.check_parquet(path)
        from pyarrow.dataset import ParquetFragmentScanOptions

        return {"batch_size": 1000, "fragment_scan_options": ParquetFragmentScanOptions(page_checksum_verification=True)}
    for path in files:
        check.check_text(path, encoding or "utf-8")
    return {"encoding": encoding or "utf-8-sig", "sample_by": by or _text_unit(files[0], encoding or "utf-8")}


def _json_fault(job: JobContext, source: Source, encoding: str, *, strict: bool = True) -> DataError | None:
    return next((fault for path in source.every if (fault := check.json_fault(job, path, encoding or "utf-8", strict=strict))), None)


def _text_unit(path: Path, encoding: str) -> str:
    """Paragraphs where blank lines part them, lines where none do."""
    with path.open(encoding=encoding) as file:
        head = file.read(65536).strip()
    return "paragraph" if "\n\n" in head else "line"


def _csv_features(job: JobContext, source: Source, options: dict[str, Any]) -> Any:
    import pandas as pd  # type: ignore[import-untyped]
    from datasets import Features, Value

    layout = check.Layout(options["sep"], options["encoding"], options["quoting"])
    names = list(pd.read_csv(source.every[0], nrows=0, sep=layout.delimiter, encoding=layout.encoding, quoting=layout.quoting).columns)
    rank = ("int64", "float64", "string")
    found = [check.csv_kinds(job, path, layout) for path in source.every]
    if any(len(kinds) != len(names) for kinds in found):
        raise DataError("The files do not all have the same columns.", "Add them one by one, or bring them to the same columns.")
    return Features({name: Value(max((kinds[number] for kinds in found), key=rank.index)) for number, name in enumerate(names)})


def _from_hub(job: JobContext, repository: str, cache: Path, revision: str, subset: str) -> dict[str, Any]:
    from engine.hub.probe import endpoint, reachable
    from engine.hub.pull import explain_hub

    if not reachable(job.workspace.settings):
        raise HubError(f"The Hub at {endpoint()} does not answer, so {repository} can't be added.", "Check the network, or add a file or a folder.")
    from datasets import load_dataset

    try:
        return dict(load_dataset(repository, subset or None, revision=revision or None, cache_dir=str(cache)))
    except (ValueError, RuntimeError) as error:
        _full_disk(error)
        raise DataError(
            f"{repository} can't be read: {_words(error)}", "A dataset with several parts needs --subset NAME; one with a script is not supported."
        ) from error
    except Exception as error:
        _full_disk(error)
        job.check()
        raise explain_hub(error, repository) from error


def _explained(source: Source, error: BaseException) -> DataError:
    """What the reader said, and what to do about it."""
    where = source.every[0].name if len(source.every) == 1 else source.text
    said = _words(error)
    if "corresponds to no data" in said:
        return DataError(f"{where} holds no rows.", "There is nothing in it to add.")
    if "does not have a datasets dtype equivalent" in said:
        return DataError(
            f"{where}: {said.split('does not have')[0].strip()} is a type of column that can't be used.",
            "Leave the column out, or write maps as lists of pairs.",
        )
    if "CastError" in "".join(type(link).__name__ for link in _chain(error)):
        return DataError(f"{where}: the columns do not stay the same. {said}", "All rows and all files of a dataset need the same columns and types.")
    return DataError(f"{where} can't be read: {said}", "Check that the file is what its ending says.")


def _words(error: BaseException) -> str:
    """The innermost reason, in one line."""
    text = " ".join(str(list(_chain(error))[-1]).split()) or type(error).__name__
    return text if len(text) < 300 else f"{text[:297]}…"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _full_disk(error: BaseException) -> None:
    """The readers wrap everything; a full disk must stay one."""
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            raise link


@contextmanager
def _reporting(job: JobContext, cache: Path) -> Iterator[None]:
    """Say twice a second how much Arrow has been written; the readers themselves report nothing."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(0.5):
            if written := sum(file.stat().st_size for file in cache.rglob("*.arrow") if file.is_file()):
                job.progress(written, None, "bytes", "reading")

    thread = threading.Thread(target=report, name="reading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
