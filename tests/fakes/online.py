"""Points the Hub's client, which reads its surroundings when it is imported, at a Hub on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.hub import client, probe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.fakes.hub import Hub


def go_online(monkeypatch: pytest.MonkeyPatch, folder: Path, hub: Hub) -> Path:
    """The cache and the token store stand in ``folder``; returns the cache."""
    from huggingface_hub import constants, hf_api

    cache = folder / "hub"
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {
        "HF_HUB_OFFLINE": False, "ENDPOINT": hub.address, "HF_HUB_CACHE": str(cache), "HF_TOKEN_PATH": str(folder / "token"),
        "HF_STORED_TOKENS_PATH": str(folder / "stored_tokens"),
    }.items():  # fmt: skip
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(hf_api.api, "endpoint", hub.address)
    probe._answers.clear()
    client._bounded.clear()
    return cache
