"""How well a model foretells a text, as llama.cpp runs it: the measure of what a quantisation lost."""

from __future__ import annotations

import json
import math
import secrets
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

from engine.devices import cores
from engine.errors import ModelError
from engine.inference.llama_server import open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

ROOM = 2048
"""Tokens of context it is measured in."""


def perplexity(gguf: Path, text: str, tokens: int = 400, step: Callable[[int, int], None] | None = None) -> float:
    """exp of the mean negative log-likelihood of the first ``tokens`` tokens of ``text``, each after all before it.

    The model is made to say the text by a grammar of its tokens; the server tells the likelihood of each as it was
    before the grammar. ``step`` hears how many of how many are said, and may stop it by an error. Raises ``ModelError`` when the file can't be loaded or the text is too short to measure.
    """
    import xllamacpp

    key = secrets.token_urlsafe(24)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx = ROOM
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores()
    try:
        server = open_server(parameters, key)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(f"llama.cpp can't load {gguf}: {error}.", "It is not used.") from None

    def ask(path: str, body: dict[str, Any]) -> Generator[dict[str, Any]]:
        """The answer, or the pieces of a streamed one."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), headers)  # noqa: S310 (our own port)
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            for line in answer:
                if line.strip():
                    yield json.loads(line.removeprefix(b"data: "))

    with closing(ask("/tokenize", {"content": text})) as told:
        ids = next(told)["tokens"][: min(tokens, ROOM - 8) + 1]
    if len(ids) < 16:
        raise ModelError("The text is too short to measure a model on.", "Give one of at least 16 tokens.")
    said: list[dict[str, Any]] = []
    pieces = ask("/completion", {
        "stream": True, "prompt": ids[:1], "n_predict": len(ids) - 1, "temperature": 0, "n_probs": 1, "cache_prompt": False, "repeat_penalty": 1.0,
        "grammar": "root ::= " + " ".join(f"<[{number}]>" for number in ids[1:]),
    })  # fmt: skip
    with closing(pieces):  # the server stops where nobody listens any more
        for piece in pieces:
            said += piece.get("completion_probabilities", [])
            if step is not None:
                step(len(said), len(ids) - 1)
    if [step["id"] for step in said] != ids[1:]:
        raise ModelError(f"{gguf.name} can't be measured: it did not say the text.", "It is not used.")
    return math.exp(-sum(step["logprob"] for step in said) / len(said))
