"""GGUF models through llama.cpp (xllamacpp), inside this process: a job's, or one that holds a model for the chat
(``engine.inference.llama_model``)."""

from __future__ import annotations

import json
import queue
import secrets
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import cores
from engine.errors import ModelError
from engine.inference.calls import written
from engine.inference.constraint import grammar
from engine.inference.guard import neutralise
from engine.inference.heard import Heard
from engine.inference.llama_server import no_gpu, open_server
from engine.inference.pictures import blind, pictured, sent
from engine.inference.protocol import SMALL, Facts, Read, Sampling, Usage, unheard
from engine.inference.refusals import no_template, no_tools, too_long
from engine.models.gguf_header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engine.inference.protocol import Call, Message, Tool
    from engine.jobs.context import CancelToken
    from engine.settings import Settings
    from engine.store.models import ModelRecord

NGRAM = 4
"""Tokens that must have stood in the prompt before what followed them there is tried again."""
Chunks = queue.SimpleQueue[dict[str, Any] | None]


class LlamaCpp:
    """One GGUF, one slot: the prefix that a conversation shares with the last one stays in its KV cache. Adapters lie
    beside the base and are switched by their scales, without loading it again. With several ``slots``, :meth:`write` writes
    as many answers at once; each has a whole context."""

    def __init__(
        self, record: ModelRecord, settings: Settings, adapters: Mapping[str, Path] | None = None, *, cpu: bool = False, slots: int = 1
    ) -> None:
        """Load the file, and the adapters (GGUF files by any name); on the ``cpu`` even beside a GPU. Raises ``ModelError``."""
        import xllamacpp

        # A model with no template of its own would be given any other by llama.cpp.
        header = read_header(Path(record.gguf))
        self._template = bool(header.template)
        self.adapters = dict(adapters or {})
        self.usage = Usage()
        self.calls: list[Call] = []
        self.reading: Callable[[Read], object] = unheard
        self._key = secrets.token_urlsafe(24)
        context = min(settings.context, int(header.get("context_length") or settings.context))
        threads = settings.threads or cores()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = record.gguf
        parameters.n_ctx = context * slots
        parameters.n_parallel = slots
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        if projector := str(record.facts.get("mmproj", "")):
            parameters.mmproj.path = projector
        if cpu:
            parameters.n_gpu_layers = 0
        if no_gpu(parameters):
            # It hears whether it should stop, and says how far it is, between two of these.
            parameters.n_batch = parameters.n_ubatch = settings.batch or (512 if record.bytes < SMALL else 128)
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in self.adapters.values()]
        parameters.lora_init_without_apply = True
        if settings.precise:
            # Its flash attention and its cache round to 16 bits: enough to turn a near tie.
            parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
            parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        if settings.lookup:
            parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
            parameters.speculative.ngram_simple.size_n = NGRAM
            parameters.speculative.ngram_simple.size_m = settings.lookup
        try:
            self._server = open_server(parameters, self._key)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"llama.cpp can't load {record.gguf}: {error}.",
                "The file may be damaged or too large for the memory: pull it again, or a smaller one.",
            ) from None
        self._props = self._ask("/props")
        self._facts = Facts(
            name=record.name, backend="llama.cpp", context=context, device=f"CPU, {threads} threads", quantisation=str(record.facts.get("quantisation", "")), small=record.bytes < SMALL,
            sees=bool(projector),
        )  # fmt: skip

    @property
    def facts(self) -> Facts:
        return self._facts

    def stream(
        self, messages: list[Message], sampling: Sampling, cancel: CancelToken, tools: Sequence[Tool] = (), adapter: str = ""
    ) -> Iterator[str]:
        """Pieces of the answer, with one of the adapters or with none. Raises ``ModelError`` when the prompt does not fit."""
        return self._spoken(self.heard(messages, sampling, cancel, tools, adapter))

    def complete(self, text: str, sampling: Sampling, cancel: CancelToken, adapter: str = "") -> Iterator[str]:
        """How a text goes on. Raises ``ModelError`` when it does not fit."""
        return self._spoken(self.heard(text, sampling, cancel, (), adapter))

    def _spoken(self, heard: Iterator[str | Read]) -> Iterator[str]:
        for piece in heard:
            if isinstance(piece, Read):
                self.reading(piece)
            else:
                yield piece

    def heard(
        self, prompt: list[Message] | str, sampling: Sampling, cancel: CancelToken, tools: Sequence[Tool] = (), adapter: str = ""
    ) -> Iterator[str | Read]:
        """A conversation's answer, or how a text goes on: how far the prompt is read, then the pieces. Raises ``ModelError``."""
        request = _request(sampling, self._facts.context)
        if isinstance(prompt, str):
            return self._decode(self._server.handle_completions, {**request, "prompt": prompt}, cancel, adapter)
        request["messages"] = self._readable(prompt)
        if prompt[-1]["role"] == "assistant":
            # llama.cpp goes on with it; a template that would begin with thoughts must not.
            request["chat_template_kwargs"] = {"enable_thinking": False}
        if tools:
            if not self._props["chat_template_caps"]["supports_tools"]:
                raise no_tools(self._facts.name)
            if "grammar" in request:
                raise ModelError(
                    "llama.cpp keeps no form while a model may call tools.", "Leave one of them out, or load it with --engine transformers."
                )
            request["tools"] = list(tools)
        return self._decode(self._server.handle_chat_completions, request, cancel, adapter)

    def write(self, prompt: Sequence[int], sampling: Sampling, cancel: CancelToken, adapter: str = "") -> str:
        """How tokens go on. Any thread may ask, beside others; what was computed for one prompt is not used for the next, so
        that an answer does not depend on what was asked before it. Raises ``ModelError``."""
        said: list[str] = []
        failed: list[dict[str, Any]] = []

        def hear(chunk: dict[str, Any]) -> bool:
            if error := chunk.get("error"):
                failed.append(error)
            said.extend(choice.get("text") or "" for choice in chunk.get("choices", []))
            return cancel.asked

        request = {**_request(sampling, self._facts.context), "prompt": list(prompt), "cache_prompt": False, "lora": self._scales(adapter)}
        try:
            self._server.handle_completions(request, hear)
        except Exception as error:
            failed.append({"message": str(error)})
        if failed:
            raise _explain(failed[0], self._facts)
        return "".join(said)

    def _decode(self, handle: Callable[..., Any], request: dict[str, Any], cancel: CancelToken, adapter: str) -> Iterator[str | Read]:
        chunks: Chunks = queue.SimpleQueue()
        gone = threading.Event()
        self.usage, self.calls = Usage(), []

        def hear(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            return cancel.asked or gone.is_set()

        def decode() -> None:
            try:
                handle({**request, "lora": self._scales(adapter)}, hear)
            except Exception as error:
                chunks.put({"error": {"message": str(error)}})
            finally:
                chunks.put(None)

        heard = Heard(self.usage)
        thread = threading.Thread(target=decode, name="decode", daemon=True)
        thread.start()
        try:
            yield from self._pieces(chunks, heard)
        finally:
            gone.set()
            thread.join()
        if cancel.asked:
            self.usage.finish = "cancel"

    def _pieces(self, chunks: Chunks, heard: Heard) -> Iterator[str | Read]:
        while (chunk := chunks.get()) is not None:
            if error := chunk.get("error"):
                raise _explain(error, self._facts)
            if read := chunk.get("prompt_progress"):
                yield Read(int(read["processed"]), int(read["total"]))
            yield from heard.take(chunk)
            if timings := chunk.get("timings"):
                self.usage.prompt_tokens = timings["cache_n"] + timings["prompt_n"]
                self.usage.cached = timings["cache_n"]
                self.usage.completion_tokens = timings["predicted_n"]
        self.calls = heard.calls()

    def _scales(self, adapter: str) -> list[dict[str, float]]:
        return [{"id": number, "scale": float(name == adapter)} for number, name in enumerate(self.adapters)]

    def count(self, messages: list[Message]) -> int:
        """Tokens of the conversation, by the model's own template and tokenizer."""
        prompt = self._ask("/apply-template", {"messages": self._readable(messages)})["prompt"]
        return len(self._ask("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})["tokens"])

    def greedy(self, messages: list[Message], longest: int, tokens: int) -> tuple[list[int], list[tuple[int, float]], bool]:
        """``(prompt, answer, ended)``: the last ``longest`` tokens of the conversation by the model's own template, at most
        ``tokens`` likeliest ones after them, each with its log-probability (nats), and whether the model ended there.

        A model with no template goes on with the last message. Raises ``ModelError``.
        """
        text = self._ask("/apply-template", {"messages": self._readable(messages)})["prompt"] if self._template else messages[-1]["content"]
        prompt = self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": self._template})["tokens"][-longest:]
        body = {
            "prompt": prompt, "n_predict": tokens, "n_probs": 1, "temperature": 0, "repeat_penalty": 1.0, "cache_prompt": False,
            "lora": self._scales(""),
        }  # fmt: skip
        found = self._ask("/completion", body, seconds=600)
        pairs = [(int(entry["id"]), float(entry["logprob"])) for entry in found.get("completion_probabilities", [])]
        ended = found.get("stop_type") == "eos"
        # The token that ended the answer may be among those that were drawn.
        return prompt, pairs[: int(found["tokens_predicted"]) - 1] if ended and len(pairs) == found["tokens_predicted"] else pairs, ended

    def close(self) -> None:
        """Free the model."""
        self._server = None

    def _readable(self, messages: list[Message]) -> list[Message]:
        if not self._template:
            raise no_template(self._facts.name)
        if pictured(messages) and not self._facts.sees:
            raise blind(self._facts.name)
        return [sent(neutral(written(message))) for message in messages]

    def _ask(self, path: str, body: dict[str, Any] | None = None, seconds: float = 30) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (our own loopback port)
            self._server.listening_address + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


def check(path: Path, name: str) -> None:
    """Raises ``ModelError`` for a damaged file, and for a model without a chat template: llama.cpp would take any other."""
    if not read_header(path).template:
        raise no_template(name)


def _request(sampling: Sampling, context: int) -> dict[str, Any]:
    # llama.cpp sets aside four bytes for each token that the penalty looks back, for every answer.
    request: dict[str, Any] = {
        "stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True, "return_progress": True,
        "max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
        "min_p": sampling.min_p, "repeat_penalty": sampling.repetition_penalty, "repeat_last_n": context,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
    }  # fmt: skip
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    if lark := grammar(sampling):
        request["grammar"] = f"%llguidance {{}}\n{lark}"
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    return request


def neutral(message: Message) -> Message:
    """The message with its texts made harmless: the template is applied as text, so a control token inside would act."""
    content = message.get("content") or ""
    if calls := message.get("tool_calls"):
        functions = [{name: neutralise(value) for name, value in call["function"].items()} for call in calls]
        message = {**message, "tool_calls": [{**call, "function": function} for call, function in zip(calls, functions, strict=True)]}
    if isinstance(content, str):
        return {**message, "content": neutralise(content)}
    return {**message, "content": [{**part, "text": neutralise(part["text"])} if part["type"] == "text" else part for part in content]}


def _explain(error: dict[str, Any], facts: Facts) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return too_long(facts.name, int(error.get("n_prompt_tokens", 0)), facts.context)
    return ModelError(f"{facts.name} failed: {error.get('message', error)}", "Try again; `clear` starts a new conversation.")
