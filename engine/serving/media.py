"""Pictures in a request: as data inside it, and never as an address that the engine would open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def addresses(body: dict[str, Any]) -> Iterator[str]:
    """Where the pictures of a request are: data, or an address.

    Engines open what they are given: addresses of the network that this machine is in, and its files, too.
    """
    for part in _parts(body):
        for name, given in part.items():
            address = given.get("url") if isinstance(given, dict) else given
            if name.endswith("_url") and address:
                yield str(address)


def _parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of what is said, in the form of chat completions (``messages``) and of responses (``input``)."""
    for said in (body.get("messages"), body.get("input")):
        for message in said if isinstance(said, list) else []:
            if isinstance(message, dict):
                inner = message.get("content")
                yield from (part for part in [message, *(inner if isinstance(inner, list) else [])] if isinstance(part, dict))
