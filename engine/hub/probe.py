"""Whether the Hub answers: asked once for a process, briefly. Without it every look-up would retry for 23 seconds."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.settings import Settings

_lock = threading.Lock()
_answers: dict[str, bool] = {}


def endpoint() -> str:
    """``HF_ENDPOINT``, or the public Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def reachable(settings: Settings) -> bool:
    """Whether the Hub answers within ``settings.hub_timeout`` seconds. ``hub = off`` or HF_HUB_OFFLINE: no."""
    if settings.hub == "off" or os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    address = endpoint()
    with _lock:
        if address not in _answers:
            _answers[address] = _ask(address, settings.hub_timeout)
        return _answers[address]


def _ask(address: str, timeout: float) -> bool:
    if not address.startswith(("http://", "https://")):
        return False
    request = urllib.request.Request(f"{address}/api/models?limit=1", method="GET", headers={"user-agent": "bittern"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return int(answer.status) < 500
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
