"""A server that speaks OpenAI's protocol (TGI, vLLM, Ollama, llama.cpp, ``transformers serve``), through ``InferenceClient``."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.errors import ModelError
from engine.hub.client import wait_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICE = "bittern"
"""Under which the keyring has our keys."""
PATIENCE = 60.0
"""Seconds without a byte before a server counts as dead."""
BUSY = (429, 502, 503, 504)
"""How servers say that another time would do."""
UNKNOWN = (400, 422)
"""How servers refuse a request with a field that they do not know, before they answer anything."""


class Server:
    """One server. Every method raises ``ModelError`` that says what is wrong and what to do; never the key."""

    def __init__(self, name: str, url: str, key: str) -> None:
        from huggingface_hub.utils import httpx

        self._name, self._url, self._key = name, url, key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A session of its own: the shared one refuses every address while the Hub is switched off.
        self._session = httpx.Client(timeout=PATIENCE, verify=_trusted())

    def models(self) -> list[dict[str, Any]]:
        """What ``/v1/models`` lists: at least ``id`` each."""
        try:
            answer = self._session.get(f"{base(self._url)}/models", headers=self._headers, timeout=10)
            answer.raise_for_status()
            found = answer.json().get("data", [])
        except (ValueError, AttributeError):
            raise self._stranger() from None
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", 0) == 404:
                raise self._stranger() from None
            raise self._explain(error, "") from None
        return [model for model in found if isinstance(model, dict) and model.get("id")]

    def chat(self, request: dict[str, Any], model: str) -> Iterator[dict[str, Any]]:
        """The chunks of a streamed answer, as dictionaries. Closing the iterator closes the connection. What is in ``spare``
        is left out for a server that knows it not."""
        return self._asked(
            lambda more: self._chat({**request, "extra_body": None}, model, more), request.pop("extra_body"), request.pop("spare"), model
        )

    def complete(self, request: dict[str, Any], model: str) -> Iterator[dict[str, Any]]:
        """The same for ``/v1/completions``, which the client has no method for."""
        more, spare = request.pop("extra_body"), request.pop("spare")
        return self._asked(lambda more: self._complete({**more, **request, "model": model, "stream": True}), more, spare, model)

    def _asked(
        self, ask: Callable[[dict[str, Any]], Iterator[dict[str, Any]]], more: dict[str, Any], spare: dict[str, Any], model: str
    ) -> Iterator[dict[str, Any]]:
        try:
            try:
                yield from ask({**spare, **more})
            except Exception as error:
                if not spare or getattr(getattr(error, "response", None), "status_code", 0) not in UNKNOWN:
                    raise
                yield from ask(more)
        except GeneratorExit:
            raise
        except Exception as error:
            raise self._explain(error, model) from None

    def _chat(self, request: dict[str, Any], model: str, more: dict[str, Any]) -> Iterator[dict[str, Any]]:
        client = _client(self._session, base(self._url), self._key, more)
        try:
            for chunk in client.chat_completion(model=model, stream=True, **request):
                yield _plain(chunk)
        finally:
            client.close()

    def _complete(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with self._session.stream("POST", f"{base(self._url)}/completions", json=body, headers=self._headers) as answer:
            if answer.status_code >= 400:
                answer.read()
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:") and line[5:].strip() not in ("", "[DONE]"):
                    yield json.loads(line[5:])

    def hang_up(self) -> None:
        """End what is under way, from any thread; the server is of no more use afterwards."""
        self._session.close()

    def _stranger(self) -> ModelError:
        """Something answers, but not as a server of models does."""
        return ModelError(
            f"What answers at {base(self._url)} does not speak OpenAI's protocol: it lists no models.",
            "Look at the address and the port of the server.",
        )

    def _explain(self, error: Exception, model: str) -> ModelError:
        found, response = self._told(error, model), getattr(error, "response", None)
        if response is not None and response.status_code in BUSY:
            found.wait = wait_of(429, response.headers) if response.headers.get("retry-after") else 0.0
        elif response is None and "broke off" in found.message:
            found.wait = 0.0
        return found

    def _told(self, error: Exception, model: str) -> ModelError:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        said = _said(error, self._key)
        hints = {
            401: ("refuses the key", "Set the right key: connect it again with --key-env or --key-from-keyring."),
            403: ("refuses the key", "This key may not use it: connect it again with another."),
            404: (f"has no model “{model}”" if model else "has nothing there", "Look at what it serves: connect it again, without --model."),
            429: ("says that it is asked too often", "Wait a little, then try again."),
        }
        if status in hints:
            what, hint = hints[status]
            return ModelError(f"{self._name} ({self._url}) {what}{said}.", hint)
        if status >= 500:
            return ModelError(f"{self._name} ({self._url}) failed: status {status}{said}.", "Look at the server's own log, or try again.")
        if status:
            return ModelError(f"{self._name} ({self._url}) refuses the request: status {status}{said}.", "It may not know an option: leave it out.")
        kind = type(error).__name__
        if "Timeout" in kind:
            return ModelError(
                f"{self._name} ({self._url}) does not answer: nothing came for {PATIENCE:.0f} s.", "It may be loading or busy: try again."
            )
        if kind in ("ConnectError", "ConnectionError", "ConnectionRefusedError", "OfflineModeIsEnabled"):
            return ModelError(f"{self._name} can't be reached at {self._url}.", "Start the server, or connect it again with the right address.")
        return ModelError(f"{self._name} ({self._url}) broke off in the middle: {kind}.", "Try again; what was said so far is kept.")


@cache
def _trusted() -> Any:
    """The certificates that are trusted, read once: it takes 40 ms, as long as a short answer."""
    from huggingface_hub.utils import httpx

    return httpx.create_ssl_context()


def _client(session: Any, url: str, key: str, more: dict[str, Any]) -> Any:
    """An ``InferenceClient`` that posts through ``session``, with ``more`` fields as they are: it would write a
    ``response_format`` as TGI alone understands it. It is never without a key: it would send the Hub's own token to a stranger."""
    from huggingface_hub import InferenceClient
    from huggingface_hub.utils import hf_raise_for_status

    class Client(InferenceClient):  # type: ignore[misc]
        def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:  # noqa: ARG002 (a chat is always streamed here)
            sent = session.stream("POST", request_parameters.url, json={**request_parameters.json, **more}, headers=request_parameters.headers)
            response = self.exit_stack.enter_context(sent)
            hf_raise_for_status(response)
            return response.iter_lines()

    return Client(base_url=url, api_key=key or "none", timeout=PATIENCE)


def _plain(value: Any) -> Any:
    """A chunk as plain dictionaries. What the client has no field for (``reasoning_content``) is among its attributes alone."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in {**value, **vars(value)}.items()} if hasattr(value, "__dict__") else value
    return value


def base(url: str) -> str:
    """The address that ends in ``/v1``."""
    url = url.rstrip("/")
    return url if urlsplit(url).path.rstrip("/").endswith("/v1") else f"{url}/v1"


def _said(error: Exception, key: str) -> str:
    """What the server gave as its reason, on one short line; without the key, should it say that."""
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else {}
        told = body.get("error", body) if isinstance(body, dict) else {}
        text = told.get("message", "") if isinstance(told, dict) else str(told)
    except Exception:
        return ""
    line = " ".join((str(text).replace(key, "…") if key else str(text)).split())[:200].rstrip(".")
    return f": {line}" if line.isprintable() and line else ""


def key_of(env: str, keyring_entry: str) -> str:
    """The key behind a record: an environment variable's, or the keyring's. Raises ``ModelError`` where it is missing."""
    if env:
        if key := os.environ.get(env, ""):
            return key
        raise ModelError(f"The key is meant to be in the environment variable {env}, which is empty.", f"Set it: export {env}=…")
    if keyring_entry:
        if key := _with_ring(lambda ring: ring.get_password(SERVICE, keyring_entry)):
            return str(key)
        raise ModelError(f"The keyring has no key called “{keyring_entry}”.", "Connect it again with --key-from-keyring: it asks for the key.")
    return ""


def keep_key(entry: str, key: str) -> None:
    """Keep a key in the keyring. Raises ``ModelError``."""
    _with_ring(lambda ring: ring.set_password(SERVICE, entry, key))


def _with_ring(do: Callable[[Any], Any]) -> Any:
    """What ``do`` gets from this machine's keyring. Raises ``ModelError`` where there is none, or it stays shut."""
    try:
        import keyring
    except ImportError:
        raise ModelError("Keys in the keyring need the keyring library.", "pip install 'bittern[keyring]', or use --key-env.") from None
    ring = keyring.get_keyring()
    if ring.priority <= 0:
        raise ModelError("This machine has no keyring that could keep a key.", "Put it into an environment variable, and use --key-env.")
    try:
        return do(ring)
    except keyring.errors.KeyringError as error:
        raise ModelError(f"The keyring stays shut: {type(error).__name__}.", "Unlock it, or use --key-env.") from None
