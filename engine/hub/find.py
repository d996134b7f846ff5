"""Searching the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.hub.client import api, ask
from engine.hub.probe import endpoint
from engine.hub.repository import Found, found_of

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.settings import Settings

Kind = Literal["models", "datasets"]
Order = Literal["downloads", "likes", "trending", "updated"]
SORTS = {"downloads": "downloads", "likes": "likes", "trending": "trendingScore", "updated": "lastModified"}
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
    api(
        settings,
        "nothing can be searched there",
        "Bring a local folder or a .gguf file with `pull`, your own data with `add`, or the starter with `setup`.",
    )
    return ask(lambda: _asked(wish), f"“{wish.text}”" if wish.text else wish.kind, cancel, settings.hub_stall)


def _asked(wish: Wish) -> list[Found]:
    """One request, not the client's listing: that sleeps by itself when it is told to slow down, unseen."""
    from huggingface_hub.hf_api import DatasetInfo, ModelInfo
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    models = wish.kind == "models"
    tags = [*([f"license:{wish.licence}"] if wish.licence else []), *([wish.library] if wish.library else [])]
    tags += [f"task_categories:{wish.task}"] if wish.task and not models else []
    bounds = [f"min:{count_of(wish.least)}"] if wish.least else []
    bounds += [f"max:{count_of(wish.most)}"] if wish.most else []
    asked: dict[str, Any] = {
        "search": wish.text, "filter": tags, "pipeline_tag": wish.task if models else "", "num_parameters": ",".join(bounds),
        "gated": "" if wish.gated is None else str(wish.gated).lower(), "sort": SORTS[wish.sort], "limit": wish.limit,
        "expand": [*LISTED, *(OF_MODELS if models else [])],
    }  # fmt: skip
    answer = get_session().get(
        f"{endpoint()}/api/{wish.kind}",
        params={name: value for name, value in asked.items() if value},
        headers=build_hf_headers(library_name="bittern"),
    )
    hf_raise_for_status(answer)
    make = ModelInfo if models else DatasetInfo
    return [found_of(make(**{"siblings": None, **item}), wish.kind[:-1]) for item in answer.json()]


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
