"""The torch side: a transformers model with PEFT adapters, living in a helper process (``engine.jobs.host``)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import cpu_bf16, set_torch_threads
from engine.errors import ModelError
from engine.inference.calls import OPENINGS, parse, unfolded
from engine.inference.constraint import Constraint, grammar
from engine.inference.pictures import blind, eyeless, opened, pictured
from engine.inference.protocol import SMALL, Sampling, decoding_rate
from engine.inference.refusals import no_template, no_tools, too_long
from engine.inference.stops import Stops
from engine.inference.widened import widen
from engine.jobs.context import CancelToken
from engine.models.adapter_gguf import template_of
from engine.models.estimate import loaded_dtype, stored_dtype
from engine.models.load import attach, checked_device, first_line, load_causal, load_quantised
from engine.models.offload import load_placed
from engine.models.sight import folder_sees, load_seeing, without_eyes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inference.protocol import Message, Tool


class TorchModel:
    """A base model; adapters are attached when first asked for and switched without loading the base again."""

    def __init__(self, name: str, folder: str, context: int, threads: int, device: str = "auto", dtype: str = "auto", memory: int = 0) -> None:
        """``device``: auto, cpu, cuda or mps. ``dtype``: auto (``engine.models.estimate.loaded_dtype``), a torch dtype's name, or int8 and nf4
        (bitsandbytes, on CUDA alone; untested here). ``memory``: bytes of weights that may be in RAM, the rest stays on the disk; 0: all.
        Raises ``ModelError``."""
        set_torch_threads(threads)
        self._name = name
        self._device = self._where = checked_device(device)
        self._processor: Any = None
        """Cuts pictures for a model that sees."""
        self._blind = without_eyes(Path(folder)) if folder_sees(Path(folder)) else ""
        chosen = loaded_dtype(dtype, stored_dtype(Path(folder)))
        if chosen in ("int8", "nf4"):
            self._model, self._tokenizer = load_quantised(Path(folder), chosen, self._device)
        elif memory:
            self._model, self._tokenizer, self._where = load_placed(Path(folder), chosen, self._device, memory)
        else:
            if folder_sees(Path(folder)):
                self._model, self._tokenizer, self._processor = load_seeing(Path(folder), chosen)
            else:
                self._model, self._tokenizer = load_causal(Path(folder), dtype=chosen)
            self._model.to(self._device)
            if self._device == "cpu" and not cpu_bf16():
                widen(self._model)
        self._dtype = chosen
        longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or context
        self._context = min(context, longest)
        self._ends = _ends(self._model, self._tokenizer)
        self._constraint: Constraint | None = None
        self._adapters: dict[str, str] = {}
        self._active = ""
        self._cache: Any = None
        self._cached: tuple[str, list[int]] = ("", [])
        self._pictured = False
        """Whether the last prompt had pictures."""

    def facts(self, cancel: CancelToken) -> dict[str, Any]:  # noqa: ARG002
        """backend, context, device, dtype, whether it is small, and whether it sees."""
        small = sum(parameter.nbytes for parameter in self._model.parameters()) < SMALL
        seeing = self._processor is not None
        return {
            "backend": "transformers",
            "small": small,
            "context": self._context,
            "device": self._where,
            "quantisation": self._dtype,
            "sees": seeing,
        }

    def count(self, messages: list[Message], cancel: CancelToken, adapter: str = "") -> int:  # noqa: ARG002
        return len(self._encode(messages, adapter)["input_ids"][0])

    def stream(
        self, messages: list[Message], sampling: dict[str, Any], adapter: str, version: str, cancel: CancelToken, tools: list[Tool] | None = None
    ) -> Iterator[dict[str, Any]]:
        """``{"text"}`` pieces, then ``{"usage"}`` and ``{"calls"}``. ``adapter`` is a PEFT folder, or empty for the base alone."""
        asked = Sampling.from_dict(sampling)
        if not tools:
            yield from self._answer(self._encode(messages, adapter), asked, adapter, version, cancel)
            return
        encoded = self._encode(messages, adapter, tools)
        written, sent, shown = "", "", Stops((*OPENINGS, *self._tokenizer.all_special_tokens))
        for item in self._answer(encoded, asked, adapter, version, cancel, special=True):
            written += item.get("text", "")
            # An answer that begins as JSON may be a call: it is known at the end.
            if "text" not in item:
                yield item
            elif not written.lstrip().startswith(("{", "[")) and (text := shown.take(item["text"])):
                sent += text
                yield {"text": text}
        said, calls = parse(self._tokenizer, written, self._tokenizer.decode(encoded["input_ids"][0]))
        if said.startswith(sent) and (rest := said[len(sent) :]):
            yield {"text": rest}
        yield {"calls": calls}

    def complete(self, text: str, sampling: dict[str, Any], adapter: str, version: str, cancel: CancelToken) -> Iterator[dict[str, Any]]:
        """Like :meth:`stream`, for a text with no template."""
        encoded = self._tokenizer(text, return_tensors="pt", return_token_type_ids=False).to(self._device)
        if not encoded["input_ids"].shape[1]:
            raise ModelError("There is nothing to go on with.", "Give the beginning of a text.")
        yield from self._answer(encoded, Sampling.from_dict(sampling), adapter, version, cancel)

    def _answer(
        self, encoded: Any, sampling: Sampling, adapter: str, version: str, cancel: CancelToken, *, special: bool = False
    ) -> Iterator[dict[str, Any]]:
        from transformers import TextIteratorStreamer

        ids = encoded["input_ids"][0].tolist()
        if len(ids) >= self._context:
            raise too_long(self._name, len(ids), self._context)
        chosen = self._how(sampling, len(ids))
        seen = "pixel_values" in encoded
        if "prompt_lookup_num_tokens" in chosen or seen or self._pictured:
            # generate() would read the whole prompt once more, behind what the cache holds already. Two pictures are the
            # same tokens. And some models (Qwen2-VL) keep how far a picture moved the places of what follows it.
            self._cache = None
        self._pictured = seen
        reused = self._switch(adapter, version, ids)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=not special)
        stops = Stops(sampling.stop)
        ended = CancelToken()
        failed: list[BaseException] = []
        out: list[Any] = []
        how = {**encoded, **chosen, "streamer": streamer, "past_key_values": self._cache, "stopping_criteria": [_stop(cancel, ended)]}
        began = time.monotonic()
        first = 0.0
        thread = threading.Thread(target=self._generate, args=(how, sampling.seed, out, failed), daemon=True)
        thread.start()
        try:
            for piece in streamer:
                if text := stops.take(piece):
                    first = first or time.monotonic() - began
                    yield {"text": text}
                if stops.hit:
                    ended.ask("cancel")
            if text := stops.rest():
                yield {"text": text}
        except GeneratorExit:
            # The reader left: the thread must not go on with the cache that the next call will use.
            cancel.ask("cancel")
            raise
        finally:
            thread.join()
        if failed:
            self._cache = None
            raise ModelError(f"{self._name} failed: {failed[0]}", "Try again; a shorter conversation needs less memory.") from failed[0]
        usage = self._usage(out[0][0].tolist(), len(ids), time.monotonic() - began - first)
        finish = "cancel" if cancel.asked else "stop" if stops.hit else usage["finish"]
        yield {"usage": {**usage, "cached": reused, "first_token": first, "finish": finish}}

    def _generate(self, how: dict[str, Any], seed: int | None, out: list[Any], failed: list[BaseException]) -> None:
        """``generate`` in a thread of its own: its tokens, or its error, are put into the lists."""
        import torch

        try:
            if seed is not None:
                torch.manual_seed(seed)
            with torch.inference_mode():
                out.append(self._model.generate(**how))
        except BaseException as error:
            # generate() does not end its streamer when it raises: without this the reader waits for ever.
            failed.append(error)
            how["streamer"].on_finalized_text("", stream_end=True)

    def _encode(self, messages: list[Message], adapter: str, tools: list[Tool] | None = None) -> Any:
        template = None if self._tokenizer.chat_template else template_of(adapter)
        if not self._tokenizer.chat_template and not template:
            raise no_template(self._name)
        if pictured(messages) and self._processor is None:
            raise eyeless(self._name, self._blind) if self._blind else blind(self._name)
        if tools and "tools" not in self._tokenizer.get_chat_template(template, tools=tools):
            raise no_tools(self._name)
        from jinja2 import TemplateError

        going_on = messages[-1]["role"] == "assistant"
        how: dict[str, Any] = {
            "chat_template": template, "tools": tools, "add_generation_prompt": not going_on, "continue_final_message": going_on,
            "return_tensors": "pt", "sanitize_control_tokens": True,
        }  # fmt: skip
        spoken = [unfolded(message) for message in messages]
        try:
            if self._processor is None:
                return self._tokenizer.apply_chat_template(spoken, **how).to(self._device)
            encoded = self._processor.apply_chat_template([opened(message) for message in spoken], tokenize=True, return_dict=True, **how)
        except TemplateError as error:
            raise ModelError(f"{self._name}'s chat template refuses this conversation: {first_line(error)}", "Start anew: clear.") from None
        return encoded.to(self._device, self._model.dtype)

    def _switch(self, adapter: str, version: str, ids: list[int]) -> int:
        """Activate the adapter and keep of the KV cache what this prompt shares with the last; returns its tokens."""
        from transformers import DynamicCache

        self._activate(adapter, version)
        kept = 0
        if self._cache is not None and self._cached[0] == self._active:
            # One token must be left to feed, or generate() would read the whole prompt again.
            longest = min(len(self._cached[1]), len(ids) - 1, self._cache.get_seq_length())
            while kept < longest and self._cached[1][kept] == ids[kept]:
                kept += 1
            if extra := self._cache.get_seq_length() - kept:
                try:
                    self._cache.crop(-extra)
                except RuntimeError:  # A layer with a sliding window has forgotten what would be needed again.
                    kept = 0
        self._cached = (self._active, self._cached[1])
        if not kept:
            self._cache = DynamicCache(config=self._model.config)
        return kept

    def _activate(self, adapter: str, version: str) -> None:
        from peft import PeftModel

        if adapter and self._where != self._device:
            raise ModelError(
                f"{self._name} is on the disk in part, and an adapter needs its base in memory as a whole.",
                f"load {self._name}, or merge the adapter.",
            )
        self._active = f"{adapter} {version}".strip()
        if adapter and self._active not in self._adapters:
            label = "default" if not isinstance(self._model, PeftModel) else f"adapter{len(self._adapters)}"
            if isinstance(self._model, PeftModel):
                self._model.load_adapter(adapter, adapter_name=label)
            else:
                self._model = attach(self._model, Path(adapter))
            self._adapters[self._active] = label
            self._model.eval()
        if isinstance(self._model, PeftModel):
            if adapter:
                self._model.base_model.enable_adapter_layers()
                self._model.set_adapter(self._adapters[self._active])
            else:
                self._model.base_model.disable_adapter_layers()

    def _how(self, sampling: Sampling, prompt: int) -> dict[str, Any]:
        """The keywords of ``generate``. Raises ``ModelError`` for a form that can't be followed."""
        warm = sampling.temperature > 0
        how: dict[str, Any] = {
            "do_sample": warm, "max_new_tokens": max(1, min(sampling.max_tokens, self._context - prompt)),
            "repetition_penalty": sampling.repetition_penalty, "pad_token_id": self._tokenizer.pad_token_id, "eos_token_id": self._ends,
        }  # fmt: skip
        if warm:
            how |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "min_p": sampling.min_p or None}
        if sampling.stop:
            how |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        if lark := grammar(sampling):
            width = self._model.get_output_embeddings().weight.shape[0]
            self._constraint = self._constraint or Constraint(self._tokenizer, width, self._ends)
            how["logits_processor"] = [self._constraint.processor(lark, prompt)]
        elif sampling.lookup:
            how["prompt_lookup_num_tokens"] = sampling.lookup
        return how

    def _usage(self, tokens: list[int], prompt: int, decoding: float) -> dict[str, Any]:
        self._cached = (self._active, tokens[: self._cache.get_seq_length()])
        made = len(tokens) - prompt
        return {
            "prompt_tokens": prompt, "completion_tokens": made, "rate": decoding_rate(made, decoding),
            "finish": "stop" if tokens and tokens[-1] in self._ends else "length",
        }  # fmt: skip


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The ids that end an answer: the tokenizer's, and those that the model's generation config adds."""
    more = model.generation_config.eos_token_id
    found = [tokenizer.eos_token_id, *(more if isinstance(more, list) else [more])]
    return sorted({token for token in found if token is not None})


def _stop(*tokens: CancelToken) -> Any:
    """A ``StoppingCriteria`` that ends when any of these is asked."""
    import torch
    from transformers import StoppingCriteria

    class Stop(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **values: Any) -> Any:  # noqa: ARG002
            return torch.full((input_ids.shape[0],), any(token.asked for token in tokens), device=input_ids.device, dtype=torch.bool)

    return Stop()
