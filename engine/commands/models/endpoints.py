"""Models behind a server's door: connect one, and let it go."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from engine.commands.base import Desk, Field, Now
from engine.commands.models.catalogue import as_data
from engine.commands.naming import check_name
from engine.errors import BitternError, ModelError, NotFound
from engine.events import CatalogChanged
from engine.results import Result
from engine.store.models import ModelRecord


class Connect(Now):
    """Use a model that another program serves: TGI, vLLM, Ollama, llama.cpp, `transformers serve`, or any that speaks OpenAI's protocol.

    The key stays in an environment variable or in the keyring; only its name is written down. With --key-from-keyring it is
    asked for unseen (in a shell also read from a pipe), tried, and kept there; empty takes the one that is there.
    """

    verb = "connect"
    effect = "network"
    words = ("name", "url")
    asking = "The server's key (it is not shown; empty takes the one in the keyring): "
    examples = ("connect vllm http://127.0.0.1:8000/v1", "connect big https://llm.example.org/v1 --model llama-70b --key-env LLM_KEY")

    name: str = Field(description="What it is called here")
    url: str = Field(description="The server's address, such as http://127.0.0.1:8000/v1")
    model: str = Field("", description="Which of the server's models (its only one)")
    key_env: str = Field("", description="The environment variable that holds the key")
    key_from_keyring: bool = Field(False, description="The key is in the keyring, under this name")

    @property
    def asks(self) -> bool:
        return self.key_from_keyring

    def run(self, desk: Desk) -> Result:
        from engine.hub.endpoint import Server, keep_key, key_of

        check_name("model", self.name)
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BitternError(f"“{self.url}” is no address of a server.", "Such as http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise BitternError("A key does not belong into the address: it would be written down.", "Give it with --key-env or --key-from-keyring.")
        known = desk.workspace.models.find(self.name)
        if known and known.kind != "endpoint":
            raise BitternError(f"“{self.name}” is a model here already.", "Choose another name.")
        if self.key_env and self.key_from_keyring:
            raise BitternError("The key is in the environment or in the keyring, not in both.", "Give --key-env or --key-from-keyring.")
        entry = self.name if self.key_from_keyring else ""
        new = desk.secret if entry else ""
        server = Server(self.name, self.url, new or key_of(self.key_env, entry))
        served = {str(model["id"]): model for model in server.models()}
        model = self.model or (next(iter(served)) if len(served) == 1 else "")
        if not model:
            raise BitternError(f"{self.url} serves {len(served)} models: {', '.join(list(served)[:10])}.", "Say which: --model ID.")
        if served and model not in served:
            raise NotFound.named("model there", model, served, f"It serves {', '.join(list(served)[:10])}.")
        facts: dict[str, Any] = {"url": self.url, "model": model, "key_env": self.key_env, "keyring": entry}
        if context := _context(served.get(model, {})):
            facts["context"] = context
        if new:
            keep_key(entry, new)
        record = ModelRecord(self.name, "endpoint", self.url, 0, facts=facts)
        desk.models.unload(self.name)
        desk.workspace.models.put(record)
        desk.publish(CatalogChanged(what="models", name=self.name))
        return Result(f"{self.name} is {model} at {self.url}.", {**as_data(record), "served": list(served)}, opens=f"model:{self.name}")


class Disconnect(Now):
    """Forget a served model. The server and its key stay as they are."""

    verb = "disconnect"
    effect = "write"
    words = ("name",)
    examples = ("disconnect vllm",)
    completes = {"name": "models"}

    name: str = Field(description="The model's name here")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.models.get(self.name)
        if record.kind != "endpoint":
            raise ModelError(f"“{self.name}” is no served model: its files are on this machine.", "`models` lists what is here.")
        desk.models.unload(self.name)
        desk.workspace.models.remove(self.name)
        desk.publish(CatalogChanged(what="models", name=self.name))
        return Result(f"{self.name} is forgotten.", {"model": self.name})


def _context(model: dict[str, Any]) -> int:
    """The window of a served model, as vLLM and llama.cpp tell it; 0 where nobody says."""
    found = model.get("max_model_len") or (model.get("meta") or {}).get("n_ctx") or 0
    return found if isinstance(found, int) else 0
