"""A GGUF behind llama.cpp's own server, in this process: several slots, batched together as tokens come."""

from __future__ import annotations

import http.client
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.devices import cores
from engine.errors import ModelError
from engine.inference.llama_server import open_server
from engine.inference.llamacpp import check
from engine.serving.upstream import ANSWER_SECONDS, CHAT

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.models import ModelRecord


class LlamaServer:
    """``parallel`` requests at a time, each with a context of its own, as long as the settings say."""

    engine = "llama.cpp"
    paths: tuple[str, ...] = CHAT

    def __init__(self, name: str, base: ModelRecord, settings: Settings, parallel: int, adapter: Path | None = None) -> None:
        """Loads the file of ``base``, and the LoRA (GGUF) to put on it. Raises ``ModelError``."""
        import xllamacpp

        check(Path(base.gguf), name)
        self._key = secrets.token_urlsafe(24)
        self.model_id = name
        context = min(settings.context, int(base.facts.get("context") or settings.context))
        threads = settings.threads or cores()
        self.note = f"llama.cpp, {parallel} at a time, {context} tokens of context each, {threads} threads"
        parameters = xllamacpp.CommonParams()
        parameters.model.path = base.gguf
        parameters.model_alias = {name}
        parameters.n_ctx = context * parallel  # it is shared out among the slots
        parameters.n_parallel = parallel
        parameters.cont_batching = True
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        if projector := str(base.facts.get("mmproj", "")):
            parameters.mmproj.path = projector
            self.note += ", sees pictures"
        if adapter is not None:
            parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        try:
            # It listens for the door alone: nobody else has this key.
            self._server: Any = open_server(parameters, self._key)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"llama.cpp can't load {base.gguf}: {error}.",
                "The file may be damaged, or too large for the memory: pull it again, or serve fewer at a time with --parallel 1.",
            ) from None
        place = urlsplit(self._server.listening_address)
        self._place = (place.hostname or "127.0.0.1", place.port or 0)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._place, timeout=ANSWER_SECONDS)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def check(self) -> None:
        """It lives and dies with this process."""

    def close(self) -> None:
        self._server = None
