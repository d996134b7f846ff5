"""A model repository of the Hub, into its own cache: the right files only, with progress, cancel and clear errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DiskFull, HubError, explain
from engine.hub.probe import endpoint, reachable

if TYPE_CHECKING:
    from engine.jobs.context import JobContext

SMALL = ["*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*"]


def is_repository(text: str) -> bool:
    """Whether ``text`` looks like ``organisation/name`` and is no local path."""
    return bool(re.fullmatch(r"[\w][\w.\-]*/[\w][\w.\-]*", text)) and not Path(text).expanduser().exists()


def pull(job: JobContext, repository: str, revision: str = "") -> tuple[Path, str]:
    """Download a model; returns its folder and the revision (a commit's hash). A cut download goes on where it was.

    safetensors are preferred; of a repository with GGUF files only, one quantisation is taken. Pickles are never
    taken. Raises ``HubError``; ``Stopped``.
    """
    if not reachable(job.workspace.settings):
        raise HubError(
            f"The Hub at {endpoint()} does not answer, so {repository} can't be pulled.", "Check the network, or pull a local folder or a GGUF file."
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    api = HfApi()
    try:
        info = api.model_info(repository, revision=revision or None, files_metadata=True)
        files = {file.rfilename: file.size or 0 for file in info.siblings or []}
        wanted = choose(files)
        if not wanted:
            raise HubError(f"{repository} has no safetensors and no GGUF file.", "Bittern loads no pickled weights. Look for a safetensors revision.")
        total = sum(files[name] for name in wanted)
        _room(repository, total)
        folder = snapshot_download(repository, revision=info.sha, allow_patterns=wanted, tqdm_class=_bar(job, total))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        job.check()
        if isinstance(found := explain(error), DiskFull):
            raise found from error
        raise explain_hub(error, repository) from error
    return Path(folder), str(info.sha)


def choose(files: dict[str, int]) -> list[str]:
    """The files to take: everything small that loading needs, and the weights in one safe format."""
    from fnmatch import fnmatch

    # sentence-transformers keeps its modules in folders like 1_Pooling and 2_Dense.
    inside = [name for name in files if "/" not in name or re.match(r"\d+_\w+/[^/]+$", name)]
    small = [name for name in inside if any(fnmatch(name, pattern) for pattern in SMALL)]
    weights = [name for name in inside if name.endswith(".safetensors")]
    if any(name.startswith("model") for name in weights):
        weights = [name for name in weights if not name.startswith("consolidated")]
    if not weights:
        quantised = sorted(name for name in files if name.endswith(".gguf"))
        chosen = next((name for kind in ("Q4_K_M", "Q4_0", "Q4_1", "Q8_0", "") for name in quantised if kind.lower() in name.lower()), "")
        stem = re.sub(r"-\d{5}-of-\d{5}\.gguf$", "", chosen)
        weights = [name for name in quantised if name == chosen or re.fullmatch(re.escape(stem) + r"-\d{5}-of-\d{5}\.gguf", name)]
    return [*small, *weights] if weights else []


def explain_hub(error: BaseException, repository: str) -> HubError:
    """What the Hub's refusal means for a person."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return HubError(
            f"The Hub says that {repository} is private or does not exist, or that the token is wrong.",
            "Check the name; sign in with a token (HF_TOKEN).",
        )
    if status == 403:
        return HubError(f"{repository} is gated.", f"Ask for access at {endpoint()}/{repository}, then set HF_TOKEN.")
    if status == 404:
        return HubError(f"The Hub has no {repository} (or no such revision).", "Check the spelling: organisation/name.")
    if status == 429:
        return HubError("The Hub asks to slow down.", "Wait a few minutes, then resume this job: it goes on where it was.")
    return HubError(
        f"The download of {repository} broke off: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        "Resume this job: it goes on where it was.",
    )


def _room(repository: str, total: int) -> None:
    import shutil

    from engine.hub.cache import cache_folder

    cache = next(folder for folder in (cache_folder(), *cache_folder().parents) if folder.exists())
    free = shutil.disk_usage(cache).free
    if total > free:
        raise DiskFull(f"{repository} needs {total / 1e9:.1f} GB and {free / 1e9:.1f} GB are free.", "Free some space: see `disk`.")


def _bar(job: JobContext, total: int) -> type[Any]:
    """The bar class that the client draws on: its byte bar reports to the job, and every update may stop it."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **values: Any) -> None:
            self._bytes = values.get("unit") == "B" and "Reconstruct" not in str(values.get("desc", ""))
            super().__init__(*args, **{**values, "disable": True})
            self._done = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            job.check()
            self._done += n or 0
            if self._bytes:
                job.progress(min(self._done, total), total, "bytes", "downloading")
            return None

    return Bar
