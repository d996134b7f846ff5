"""Whether the Hub answers: asked once for a process, briefly. Without it every look-up would retry for 23 seconds."""

from __future__ import annotations

import os
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.settings import Settings

AGAIN = 10.0
"""Seconds after which a “no” may be asked about again."""
_lock = threading.Lock()
_answers: dict[str, tuple[bool, float]] = {}


def endpoint() -> str:
    """``HF_ENDPOINT``, or the public Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def offline(settings: Settings) -> bool:
    """Whether the person said not to look for the Hub: ``hub = off`` or HF_HUB_OFFLINE."""
    return settings.hub == "off" or os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")


def reachable(settings: Settings, *, again: bool = False) -> bool:
    """Whether the Hub answers within ``settings.hub_timeout`` seconds; the answer is kept.

    ``again``: a person asks for it now, so an old “no” is not enough.
    """
    if offline(settings):
        return False
    address = endpoint()
    with _lock:
        known = _answers.get(address)
        if known is None or (again and not known[0] and time.monotonic() - known[1] > AGAIN):
            known = _answers[address] = _ask(address, settings.hub_timeout), time.monotonic()
        return known[0]


def _ask(address: str, timeout: float) -> bool:
    """A thread of its own asks: looking up a name knows no time limit."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(_answer(address, timeout)), name="probe-the-hub", daemon=True)
    thread.start()
    thread.join(timeout + 0.5)
    return bool(answers and answers[0])


def _answer(address: str, timeout: float) -> bool:
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
