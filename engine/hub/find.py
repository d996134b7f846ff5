"""Searching the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.hub.client import api, ask
from engine.hub.repository import Found, found_of

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.settings import Settings

Kind = Literal["models", "datasets"]
Order = Literal["downloads", "likes", "trending", "updated"]
SORTS = {"downloads": "downloads", "likes": "likes", "trending": "trending_score", "updated": "last_modified"}
LISTED = ["downloads", "likes", "gated", "private", "lastModified", "tags"]
OF_MODELS = ["pipeline_tag", "library_name", "safetensors", "gguf"]
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True, slots=True)
class Wish:
    """What to look for. ``least`` and ``most`` are parameters (0: no bound); ``gated`` is None for both kinds."""

    text: str = ""
    kind: Kind = "models"
    task: str = ""
    library: str = ""
    licence: str = ""
    least: int = 0
    most: int = 0
    gated: bool | None = None
    sort: Order = "downloads"
    limit: int = 20


def find(settings: Settings, wish: Wish, cancel: CancelToken) -> list[Found]:
    """The models or datasets that fit, the first in order first. Raises ``HubError``, ``Stopped``."""
    client = api(
        settings,
        "nothing can be searched there",
        "Bring a local folder or a .gguf file with `pull`, your own data with `add`, or the starter with `setup`.",
    )
    return ask(lambda: _asked(client, wish), f"“{wish.text}”" if wish.text else wish.kind, cancel, settings.hub_stall)


def _asked(client: Any, wish: Wish) -> list[Found]:
    tags = [*([f"license:{wish.licence}"] if wish.licence else []), *([wish.library] if wish.library else [])]
    common = {
        "search": wish.text or None, "gated": wish.gated, "sort": SORTS[wish.sort], "limit": wish.limit,
    }  # fmt: skip
    if wish.kind == "datasets":
        tags += [f"task_categories:{wish.task}"] if wish.task else []
        return [found_of(info, "dataset") for info in client.list_datasets(**common, filter=tags or None, expand=LISTED)]
    bounds = [f"min:{count_of(wish.least)}"] if wish.least else []
    bounds += [f"max:{count_of(wish.most)}"] if wish.most else []
    found = client.list_models(
        **common, filter=tags or None, pipeline_tag=wish.task or None, num_parameters=",".join(bounds) or None, expand=[*LISTED, *OF_MODELS]
    )
    return [found_of(info, "model") for info in found]


def parameters(text: str) -> int:
    """``135M``, ``1.5B``, ``7_000_000`` as a number. Raises ``ValueError``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", text.strip().upper().replace("_", "").replace(",", ""))
    if match is None:
        raise ValueError(f"“{text}” is no number of parameters: write 135M or 1.5B")
    return int(float(match[1]) * UNITS.get(match[2], 1))


def count_of(number: int) -> str:
    """A number of parameters as the Hub's filter takes it and as people read it: ``1.5B``, ``135M``."""
    for unit in ("T", "B", "M", "K"):
        if number >= UNITS[unit]:
            return f"{number / UNITS[unit]:.3g}{unit}"
    return str(number)
