"""A model repository of the Hub, into its own cache: the right files only, with progress, cancel and clear errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import BitternError
from engine.hub.choose import Choice, choose
from engine.hub.client import api, ask_patiently
from engine.hub.download import Download
from engine.hub.repository import Repository, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.jobs.context import JobContext


@dataclass(frozen=True, slots=True)
class Pulled:
    """``folder`` is the snapshot, ``revision`` its commit's hash; ``choice`` says which of its files were taken."""

    folder: Path
    revision: str
    choice: Choice
    repository: Repository


def is_repository(text: str) -> bool:
    """Whether ``text`` looks like ``organisation/name`` and is no local path."""
    return bool(re.fullmatch(r"[\w][\w.\-]*/[\w][\w.\-]*", text)) and not Path(text).expanduser().exists()


def pull(
    job: JobContext,
    repository: str,
    revision: str = "",
    file: str = "",
    quantisation: str = "",
    room: int = 0,
    check: Callable[[Path, Choice], None] | None = None,
) -> Pulled:
    """Download a model at the commit that ``revision`` stands for now. A cut download goes on where it was.

    safetensors are preferred; of a repository with GGUF files only, one quantisation is taken: the usual one that fits
    into ``room`` bytes of memory. Pickles are never taken. ``check`` looks at the folder once its small files are there,
    before the weights come, and raises to end it. Raises ``HubError``, ``DiskFull``, ``Stopped``.
    """
    client = api(job.workspace.settings, f"{repository} can't be pulled", "Check the network, or pull a local folder or a GGUF file.")
    found = ask_patiently(lambda: look(client, repository, revision), repository, job)
    try:
        choice = choose(found.sizes, file, quantisation, room)
    except BitternError as error:
        error.message = f"{repository}: {error.message}"
        raise
    wanted = [remote for remote in found.files if remote.name in choice.files]
    download = Download(job, repository, found.sha, wanted)
    with download.alone():
        download.check_room()
        weights = [remote for remote in wanted if remote.name.endswith((".safetensors", ".gguf"))]
        download.run([remote for remote in wanted if remote not in weights])
        if check is not None:
            check(download.places.folder, choice)
        if choice.why:
            job.log(choice.why)
        download.run(weights)
        download.places.keep_reference(revision)
    return Pulled(download.places.folder, found.sha, choice, found)


def pull_files(job: JobContext, repository: str, sha: str, names: Sequence[str], kind: str) -> None:
    """Bring these files of a commit into the Hub's cache, where every library looks for them."""
    client = api(job.workspace.settings, f"{repository} can't be brought", "Check the network, or add a file or a folder.")
    found = ask_patiently(lambda: look(client, repository, sha, kind), repository, job)
    wanted = [remote for remote in found.files if remote.name in set(names)]
    download = Download(job, repository, found.sha, wanted, kind)
    with download.alone():
        download.check_room()
        download.run(wanted)
