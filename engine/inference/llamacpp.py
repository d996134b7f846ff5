"""GGUF models through llama.cpp (xllamacpp), inside this process: it holds no GIL while it decodes."""

from __future__ import annotations

import json
import queue
import secrets
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import cores
from engine.errors import ModelError
from engine.inference.guard import neutralise
from engine.inference.protocol import SMALL, Facts, Message, Sampling, Usage, decoding_rate
from engine.inference.thoughts import Thoughts
from engine.models.gguf_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.jobs.context import CancelToken
    from engine.settings import Settings
    from engine.store.models import ModelRecord


class LlamaCpp:
    """One GGUF, one slot: the prefix that a conversation shares with the last one stays in its KV cache. Adapters lie
    beside the base and are switched by their scales, without loading it again."""

    def __init__(self, record: ModelRecord, settings: Settings, adapters: Mapping[str, Path] | None = None, *, cpu: bool = False) -> None:
        """Load the file, and the adapters (GGUF files by any name); on the ``cpu`` even beside a GPU. Raises ``ModelError``."""
        import xllamacpp

        check(Path(record.gguf), record.name)
        self.adapters = dict(adapters or {})
        self.usage = Usage()
        self._key = secrets.token_urlsafe(24)
        context = min(settings.context, int(record.facts.get("context") or settings.context))
        threads = settings.threads or cores()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = record.gguf
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        # The server opens a port of its own on loopback; without the key it answers nobody.
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.api_keys = [self._key]
        parameters.verbosity = -1
        parameters.warmup = False
        parameters.ui = False
        if cpu:
            parameters.n_gpu_layers = 0
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in self.adapters.values()]
        parameters.lora_init_without_apply = True
        try:
            self._server = xllamacpp.Server(parameters)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"llama.cpp can't load {record.gguf}: {error}.",
                "The file may be damaged or too large for the memory: pull it again, or a smaller one.",
            ) from None
        self._facts = Facts(
            name=record.name, backend="llama.cpp", context=context, device=f"CPU, {threads} threads", quantisation=str(record.facts.get("quantisation", "")), small=record.bytes < SMALL,
        )  # fmt: skip

    @property
    def facts(self) -> Facts:
        return self._facts

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken, adapter: str = "") -> Iterator[str]:
        """Pieces of the answer, with one of the adapters or with none. Raises ``ModelError`` when the prompt does not fit."""
        chunks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        gone = threading.Event()
        self.usage = Usage()

        def hear(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return cancel.asked or gone.is_set()

        def decode() -> None:
            try:
                self._server.handle_chat_completions({**_request(messages, sampling), "lora": self._scales(adapter)}, hear)
            except Exception as error:
                chunks.put({"error": {"message": str(error)}})
            finally:
                chunks.put(None)

        began = time.monotonic()
        thread = threading.Thread(target=decode, name="decode", daemon=True)
        thread.start()
        try:
            yield from self._pieces(chunks, began)
        finally:
            gone.set()
            thread.join()
        if cancel.asked:
            self.usage.finish = "cancel"

    def _pieces(self, chunks: queue.SimpleQueue[dict[str, Any] | None], began: float) -> Iterator[str]:
        usage, thoughts = self.usage, Thoughts()
        while (chunk := chunks.get()) is not None:
            if error := chunk.get("error"):
                raise _explain(error, self._facts)
            for choice in chunk.get("choices", []):
                if text := thoughts.take(choice.get("delta", {})):
                    usage.first_token = usage.first_token or time.monotonic() - began
                    usage.completion_tokens += 1
                    usage.rate = decoding_rate(usage.completion_tokens, time.monotonic() - began - usage.first_token)
                    yield text
                if choice.get("finish_reason"):
                    usage.finish = choice["finish_reason"]
            if timings := chunk.get("timings"):
                usage.prompt_tokens = timings["cache_n"] + timings["prompt_n"]
                usage.cached = timings["cache_n"]
                usage.completion_tokens = timings["predicted_n"]

    def _scales(self, adapter: str) -> list[dict[str, float]]:
        return [{"id": number, "scale": float(name == adapter)} for number, name in enumerate(self.adapters)]

    def count(self, messages: list[Message]) -> int:
        """Tokens of the conversation, by the model's own template and tokenizer."""
        prompt = self._post("/apply-template", {"messages": _safe(messages)})["prompt"]
        return len(self._post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})["tokens"])

    def close(self) -> None:
        """Free the model."""
        self._server = None

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (our own loopback port)
            self._server.listening_address + path,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


def check(path: Path, name: str) -> None:
    """Raises ``ModelError`` for a damaged file, and for a model without a chat template: llama.cpp would take any other."""
    if not read_header(path).template:
        raise ModelError(
            f"{name} has no chat template, so it can't chat.", f"Use an instruction-tuned model, or a GGUF that has its template inside: {path}"
        )


def _request(messages: list[Message], sampling: Sampling) -> dict[str, Any]:
    request: dict[str, Any] = {
        "messages": _safe(messages), "stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True,
        "max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
        "min_p": sampling.min_p, "repeat_penalty": sampling.repetition_penalty,
    }  # fmt: skip
    if messages[-1]["role"] == "assistant":
        # llama.cpp goes on with it; a template that would begin with thoughts must not.
        request["chat_template_kwargs"] = {"enable_thinking": False}
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    if sampling.choices:
        # A GBNF literal escapes as JSON does.
        request["grammar"] = "root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in sampling.choices)
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    return request


def _safe(messages: list[Message]) -> list[Message]:
    """The template is applied as text, so a control token inside a message would act: it is broken up."""
    return [{"role": message["role"], "content": neutralise(message["content"])} for message in messages]


def _explain(error: dict[str, Any], facts: Facts) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return too_long(facts.name, int(error.get("n_prompt_tokens", 0)), facts.context)
    return ModelError(f"{facts.name} failed: {error.get('message', error)}", "Try again; `clear` starts a new conversation.")


def too_long(name: str, tokens: int, context: int) -> ModelError:
    """The prompt does not fit the context window."""
    return ModelError(
        f"That is {tokens} tokens, and {name} reads at most {context}.", "Shorten it, start afresh with `clear`, or raise BITTERN_CONTEXT."
    )
