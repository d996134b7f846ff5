"""Signing in at the Hub. The token lives in the Hub's own store, or in HF_TOKEN; nothing here writes it anywhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import HubError
from engine.hub.client import api, ask

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.settings import Settings

NEED = "a token can't be checked"
WAY = "Check the network. Signing in needs the Hub once; local models need no account."


@dataclass(frozen=True, slots=True)
class Account:
    """``token`` is the token's own name, never its text; ``role`` what it may do; ``kept`` where it comes from."""

    name: str
    organisations: tuple[str, ...]
    token: str
    role: str
    kept: str


def sign_in(settings: Settings, token: str, cancel: CancelToken) -> Account:
    """Check a token with the Hub and keep it in the Hub's store. Raises ``HubError``; then nothing was kept."""
    token = token.strip()
    if not token or not token.isascii() or any(letter.isspace() for letter in token):
        raise HubError(
            "That is no token: it is one word of letters, digits and signs.", "Copy it again from your settings at the Hub: Access Tokens."
        )
    client = api(settings, NEED, WAY)
    told = ask(lambda: _known(client, token), "your token", cancel, settings.hub_stall)
    from huggingface_hub import login

    # The store's name for the token comes from the Hub's answer, so it asks once more.
    ask(lambda: login(token=token, add_to_git_credential=False), "your token", cancel, settings.hub_stall)
    return _account(told)


def who(settings: Settings, cancel: CancelToken) -> Account | None:
    """Whose token is in use; ``None`` where there is none. Raises ``HubError``."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        return None
    client = api(settings, NEED, WAY)
    return _account(ask(lambda: _known(client, token), "your token", cancel, settings.hub_stall))


def sign_out() -> bool:
    """Remove every token from the Hub's store; returns whether one is still in use, from HF_TOKEN."""
    from pathlib import Path

    from huggingface_hub import constants

    for path in (constants.HF_TOKEN_PATH, constants.HF_STORED_TOKENS_PATH):
        Path(path).unlink(missing_ok=True)
    return bool(from_environment())


def from_environment() -> str:
    return os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or ""


def _known(client: Any, token: str) -> dict[str, Any]:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        told: dict[str, Any] = client.whoami(token=token)
    except HfHubHTTPError as error:
        if error.response.status_code == 401:
            raise HubError(
                "The Hub does not know this token: it is mistyped, or was taken back.", "Make a new one in your settings at the Hub."
            ) from None
        raise
    return told


def _account(told: dict[str, Any]) -> Account:
    token = (told.get("auth") or {}).get("accessToken") or {}
    return Account(
        name=str(told.get("name") or ""),
        organisations=tuple(str(item.get("name")) for item in told.get("orgs") or []),
        token=str(token.get("displayName") or ""),
        role=str(token.get("role") or ""),
        kept="HF_TOKEN" if from_environment() else "the Hub's store on this machine",
    )
