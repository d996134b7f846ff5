"""The torch side: a transformers model with PEFT adapters, living in a helper process (``engine.jobs.host``)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import bf16_pays, set_torch_threads
from engine.errors import ModelError
from engine.inference.llamacpp import too_long
from engine.inference.protocol import SMALL, decoding_rate
from engine.models.load import attach, checked_device, load_causal, load_quantised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.jobs.context import CancelToken


class TorchModel:
    """A base model; adapters are attached when first asked for and switched without loading the base again."""

    def __init__(self, name: str, folder: str, context: int, threads: int, device: str = "auto", dtype: str = "auto") -> None:
        """``device``: auto, cpu, cuda or mps. ``dtype``: auto (bfloat16 where it pays), a torch dtype's name, or int8 and nf4
        (bitsandbytes, on CUDA alone; untested here). Raises ``ModelError``."""
        set_torch_threads(threads)
        self._name = name
        self._device = checked_device(device)
        chosen = dtype if dtype != "auto" else "bfloat16" if bf16_pays() else "float32"
        if chosen in ("int8", "nf4"):
            self._model, self._tokenizer = load_quantised(Path(folder), chosen, self._device)
        else:
            self._model, self._tokenizer = load_causal(Path(folder), dtype=chosen)
            self._model.to(self._device)
        self._dtype = chosen
        longest = getattr(self._model.config, "max_position_embeddings", None) or context
        self._context = min(context, longest)
        self._adapters: dict[str, str] = {}
        self._active = ""
        self._cache: Any = None
        self._cached: tuple[str, list[int]] = ("", [])

    def facts(self, cancel: CancelToken) -> dict[str, Any]:  # noqa: ARG002
        """context, device, dtype, and whether it is small."""
        small = sum(parameter.nbytes for parameter in self._model.parameters()) < SMALL
        return {"small": small, "context": self._context, "device": self._device, "quantisation": self._dtype}

    def count(self, messages: list[dict[str, str]], cancel: CancelToken) -> int:  # noqa: ARG002
        return len(self._encode(messages)["input_ids"][0])

    def stream(
        self, messages: list[dict[str, str]], sampling: dict[str, Any], adapter: str, version: str, cancel: CancelToken
    ) -> Iterator[dict[str, Any]]:
        """``{"text"}`` pieces, then ``{"usage"}``. ``adapter`` is a PEFT folder, or empty for the base alone."""
        import torch
        from transformers import TextIteratorStreamer

        encoded = self._encode(messages)
        ids = encoded["input_ids"][0].tolist()
        if len(ids) >= self._context:
            raise too_long(self._name, len(ids), self._context)
        reused = self._switch(adapter, version, ids)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        failed: list[BaseException] = []
        out: list[Any] = []

        def generate() -> None:
            try:
                if sampling.get("seed") is not None:
                    torch.manual_seed(sampling["seed"])
                with torch.inference_mode():
                    out.append(self._generate(encoded, streamer, sampling, cancel))
            except BaseException as error:
                # generate() does not end its streamer when it raises: without this the reader waits for ever.
                failed.append(error)
                streamer.on_finalized_text("", stream_end=True)

        began = time.monotonic()
        first = 0.0
        thread = threading.Thread(target=generate, daemon=True)
        thread.start()
        try:
            for text in streamer:
                if text:
                    first = first or time.monotonic() - began
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
        yield {"usage": self._usage(out[0][0].tolist(), len(ids), reused, first, time.monotonic() - began, cancel)}

    def _encode(self, messages: list[dict[str, str]]) -> Any:
        if self._tokenizer.chat_template is None:
            raise ModelError(
                f"{self._name} has no chat template, so it can't chat.", "Use an instruction-tuned model, or add chat_template.jinja to its folder."
            )
        going_on = messages[-1]["role"] == "assistant"
        encoded = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=not going_on, continue_final_message=going_on, return_tensors="pt", sanitize_control_tokens=True
        )
        return encoded.to(self._device)

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
                self._cache.crop(-extra)
        self._cached = (self._active, self._cached[1])
        if not kept:
            self._cache = DynamicCache(config=self._model.config)
        return kept

    def _activate(self, adapter: str, version: str) -> None:
        from peft import PeftModel

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

    def _generate(self, encoded: Any, streamer: Any, sampling: dict[str, Any], cancel: CancelToken) -> Any:
        import torch
        from transformers import StoppingCriteria

        class Stop(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **values: Any) -> Any:  # noqa: ARG002
                return torch.full((input_ids.shape[0],), cancel.asked, device=input_ids.device, dtype=torch.bool)

        room = self._context - encoded["input_ids"].shape[1]
        warm = sampling["temperature"] > 0
        chosen = (
            {"temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": sampling["top_k"], "min_p": sampling["min_p"] or None}
            if warm
            else {}
        )
        if sampling["choices"]:
            chosen["prefix_allowed_tokens_fn"] = self._only(sampling["choices"], encoded["input_ids"].shape[1])
        more = {"stop_strings": sampling["stop"], "tokenizer": self._tokenizer} if sampling["stop"] else {}
        return self._model.generate(
            **encoded, past_key_values=self._cache, streamer=streamer, stopping_criteria=[Stop()], do_sample=warm,
            max_new_tokens=max(1, min(sampling["max_tokens"], room)), repetition_penalty=sampling["repetition_penalty"],
            pad_token_id=self._tokenizer.pad_token_id, **chosen, **more,
        )  # fmt: skip

    def _only(self, choices: list[str], prompt: int) -> Callable[[int, Any], list[int]]:
        """For ``generate``: the tokens that may follow, so that the answer is one of ``choices`` and then ends."""
        end = self._tokenizer.eos_token_id
        allowed = [[*self._tokenizer(choice, add_special_tokens=False)["input_ids"], end] for choice in choices]

        def following(batch: int, ids: Any) -> list[int]:  # noqa: ARG001
            said = ids[prompt:].tolist()
            return [choice[len(said)] for choice in allowed if len(choice) > len(said) and choice[: len(said)] == said] or [end]

        return following

    def _usage(self, tokens: list[int], prompt: int, reused: int, first: float, took: float, cancel: CancelToken) -> dict[str, Any]:
        self._cached = (self._active, tokens[: self._cache.get_seq_length()])
        made = len(tokens) - prompt
        finish = "cancel" if cancel.asked else "stop" if tokens and tokens[-1] == self._tokenizer.eos_token_id else "length"
        rate = decoding_rate(made, took - first)
        return {"prompt_tokens": prompt, "cached": reused, "completion_tokens": made, "first_token": first, "rate": rate, "finish": finish}
