"""``python -m engine.serving.torch_serve SOCKET FOLDER``: ``transformers serve`` on a Unix socket that is ours alone.

By itself it listens on a TCP port and asks nobody for a token, so every user of the machine could speak to it.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import Any

from engine.devices import prepare_environment, set_torch_threads

SAMPLING: dict[str, Any] = {"top_k": int, "min_p": float, "repetition_penalty": float, "repeat_penalty": float}
"""What requests may say beside OpenAI's own words; llama.cpp has another name for the penalty."""


def main() -> None:
    """Load the model and answer until the process is ended."""
    prepare_environment()
    address, folder, dtype, threads, *batching = sys.argv[1:]
    import uvicorn
    from transformers.cli.serve import Serve

    set_torch_threads(int(threads))
    where: dict[str, Any] = {"port": int(address)} if address.isdigit() else {"uds": address}
    host = {"host": "127.0.0.1"} if address.isdigit() else {}
    # Serve() makes its uvicorn.Config with a host and a port only.
    config: Any = uvicorn.Config
    uvicorn.Config = functools.partial(_config, config, {**where, **host})  # type: ignore[misc, assignment]
    read_calls()
    know_sampling()
    pages = {"continuous_batching": True, "cb_num_blocks": int(batching[0]), "cb_max_batch_tokens": 256} if batching else {}
    Serve(force_model=folder, device="auto", dtype=dtype, **pages)


def _config(made: Any, ours: dict[str, Any], app: Any, **given: Any) -> Any:
    return made(app, **{**given, **ours, "log_level": "warning"})


def know_sampling() -> None:
    """Have the sampling of llama.cpp's server understood too, and a temperature over 0 mean that tokens are drawn.

    By itself transformers serve refuses ``top_k`` and its like, and draws only where the model's files say so.
    """
    from transformers.cli.serving import chat_completion, completion, utils

    for handler in (chat_completion.ChatCompletionHandler, completion.CompletionHandler):
        given = handler._valid_params_class
        given.__mutable_keys__ = given.__mutable_keys__ | SAMPLING.keys()
    known = utils.BaseHandler._build_generation_config

    def built(self: Any, body: dict[str, Any], *more: Any, **values: Any) -> Any:
        made = known(self, body, *more, **values)
        if (warm := body.get("temperature")) is not None:
            made.do_sample = float(warm) > 0
        for name, kind in SAMPLING.items():
            if (value := body.get(name)) is not None:
                setattr(made, "repetition_penalty" if name == "repeat_penalty" else name, kind(value))
        return made

    utils.BaseHandler._build_generation_config = built


def read_calls() -> None:
    """Have calls of tools read from answers of every model that is told to write them as Hermes does.

    By itself transformers serve reads those of a few kinds of models (Qwen, Gemma), and hands on the others' as text.
    """
    from transformers.cli.serving import utils

    known = utils.get_response_template

    def template(processor: Any, model: Any) -> dict[str, Any] | None:
        tokenizer = getattr(processor, "tokenizer", processor)
        told = str(tokenizer.chat_template or "")
        # Some write calls between the same marks, but not as JSON.
        hermes = "<tool_call>" in told and "<function=" not in told
        return known(processor, model) or (_hermes(tokenizer.all_special_tokens) if hermes else None)

    utils.get_response_template = template


def _hermes(ends: list[str]) -> dict[str, Any]:
    """The response template of answers with calls as JSON between marks; ``ends`` are tokens that no answer shows."""
    calls = {"open_pattern": r"\s*<tool_call>", "close": "</tool_call>", "repeats": True, "content": "json"}
    return {
        "defaults": {"role": "assistant"},
        "start_anchor_pattern": r"\Z",  # behind all that was asked
        "fields": {
            "tool_calls": {**calls, "transform": {"type": "function", "function": "{content}"}},
            "content": {"close_pattern": rf"\s*(?:{'|'.join(map(re.escape, ends))})", "content": "text"},
        },
    }


if __name__ == "__main__":
    main()
