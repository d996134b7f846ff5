"""A task of lm-evaluation-harness, from its YAML. It needs nothing of the harness: a Command reads it before a job is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("json", "csv", "parquet", "text", "arrow")
"""Kinds of files that a task may be read from: anything else would be asked of the Hub."""


def read_task(file: Path) -> dict[str, Any]:
    """A task of the harness from its YAML; its files are looked for beside it. Code in it (``!function``) is not run.

    Raises ``DataError``.
    """
    import yaml

    try:
        config = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.", "Name a task's YAML file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is no task that is taken: {str(error).splitlines()[0]}.", "Plain YAML only: !function would run code.") from None
    if not isinstance(config, dict) or not config.get("task") or config.get("include"):
        raise DataError(f"{file} is no single task of lm-evaluation-harness.", "It needs task:, and can't include: another file.")
    if config.get("dataset_path") not in LOCAL:
        raise DataError(
            f"{file} reads “{config.get('dataset_path')}”, not files.", f"dataset_path: {', '.join(LOCAL)}, and dataset_kwargs: data_files."
        )
    options = config.get("dataset_kwargs") or {}
    named = options.get("data_files") if isinstance(options, dict) else None
    if not named:
        raise DataError(f"{file} names no files.", "It needs dataset_kwargs: data_files: a file, or one for each split.")
    files = _beside(file, named if isinstance(named, dict) else {"train": named})
    return {**config, "dataset_kwargs": {**options, "data_files": files}}


def _beside(file: Path, named: dict[str, Any]) -> dict[str, Any]:
    """The files of each split, looked for beside the YAML. A name alone, or a list, is the split train, as `datasets` has it."""
    return {
        str(split): [str(file.parent / str(name)) for name in names] if isinstance(names, list) else str(file.parent / str(names))
        for split, names in named.items()
    }
