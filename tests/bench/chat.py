"""Chat on the starter model, through Bittern and through xllamacpp: the same file, prompt and settings.

Rounds alternate, so that a busy machine harms both alike; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import time
import urllib.request
from pathlib import Path
from typing import Any

from engine.devices import cores, prepare_environment

prepare_environment()
PROMPT = "Tell me a long story about a heron who learned to wait."
TOKENS, ROUNDS = 96, 7
LONG = "The heron stands very still at the water's edge and listens to the reeds, the frogs and the slow fish below. " * 16
"""About 400 tokens."""


def direct(path: str) -> Any:
    """A server as its documentation shows it."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores()
    parameters.verbosity = -1
    parameters.warmup = False
    parameters.port = 0
    return xllamacpp.Server(parameters)


def request(messages: list[dict[str, str]], tokens: int) -> dict[str, Any]:
    return {"messages": messages, "stream": True, "max_tokens": tokens, "temperature": 0.0, "repeat_penalty": 1.0, "cache_prompt": True}


def time_direct(server: Any, messages: list[dict[str, str]], tokens: int) -> tuple[float, float]:
    """Seconds to the first piece, and pieces a second after it."""
    times: list[float] = []

    def hear(chunk: dict[str, Any]) -> bool:
        if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", [])):
            times.append(time.perf_counter())
        return False

    began = time.perf_counter()
    server.handle_chat_completions(request(messages, tokens), hear)
    return figures(began, times)


def time_http(server: Any, messages: list[dict[str, str]], tokens: int) -> tuple[float, float]:
    """The same, as a client of llama.cpp's HTTP server."""
    times: list[float] = []
    asked = urllib.request.Request(
        server.listening_address + "/v1/chat/completions", json.dumps(request(messages, tokens)).encode(), {"Content-Type": "application/json"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(asked, timeout=120) as answer:
        for line in answer:
            if line.startswith(b"data: {") and json.loads(line[6:])["choices"] and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
    return figures(began, times)


def time_ours(backend: Any, messages: list[dict[str, str]], tokens: int) -> tuple[float, float]:
    from engine.inference.protocol import Sampling
    from engine.jobs.context import CancelToken

    times: list[float] = []
    began = time.perf_counter()
    for _ in backend.stream(messages, Sampling(temperature=0, repetition_penalty=1.0, max_tokens=tokens), CancelToken()):
        times.append(time.perf_counter())
    return figures(began, times)


def figures(began: float, times: list[float]) -> tuple[float, float]:
    return times[0] - began, (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def report(what: str, unit: str, ours: list[float], theirs: list[float], *, peer: str, wanted: str, more: bool) -> None:
    """Two lines and the ratio. ``more``: more is better."""
    print(f"{peer:22}{statistics.median(theirs):8.2f} {unit}   ({what}, median of {len(theirs)}, best {(max if more else min)(theirs):.2f})")
    print(f"{'bittern':22}{statistics.median(ours):8.2f} {unit}   (best {(max if more else min)(ours):.2f})")
    print(f"ratio: {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f} ({wanted})", flush=True)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def main() -> None:
    from engine.inference.pool import ModelPool
    from tests.bench.home import bench_home

    workspace = bench_home("smollm2")
    path = workspace.models.get("smollm2").gguf
    began = time.perf_counter()
    pool = ModelPool(workspace, hosted=True)
    import xllamacpp  # noqa: F401

    imported = time.perf_counter() - began
    loads: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        with pool.use("smollm2") as backend:
            time_ours(backend, [user("Hello.")], 2)
            loads.append(time.perf_counter() - began)
        pool.unload("smollm2")
    print(f"load to first token    {statistics.median(loads):8.2f} s   (median of 3, best {min(loads):.2f}; import {imported:.2f} s; under 1)")
    server = direct(path)
    columns: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ("decode", "prefill", "second")}
    with pool.use("smollm2") as backend:
        for number in range(ROUNDS + 1):
            pairs = {}
            pairs["decode"] = time_ours(backend, [user(PROMPT)], TOKENS)[1], time_direct(server, [user(PROMPT)], TOKENS)[1]
            long = [user(f"{number} {LONG}")]
            count = backend.count(long)
            pairs["prefill"] = count / time_ours(backend, long, 2)[0], count / time_direct(server, long, 2)[0]
            turn = [*long, {"role": "assistant", "content": "It waits."}, user("And what does it hear?")]
            pairs["second"] = time_ours(backend, turn, 2)[0], time_http(server, turn, 2)[0]
            for name, (ours, theirs) in pairs.items():
                if number:
                    columns[name][0].append(ours)
                    columns[name][1].append(theirs)
    report(f"decode, greedy, {TOKENS} tokens", "tok/s", *columns["decode"], peer="xllamacpp directly", wanted="at least 0.97", more=True)
    report("prefill of 400 tokens", "tok/s", *columns["prefill"], peer="xllamacpp directly", wanted="at least 0.97", more=True)
    report("second turn to its first token", "s", *columns["second"], peer="llama.cpp over HTTP", wanted="at most 1.1", more=False)
    os._exit(0)  # llama.cpp's threads are not waited for


if __name__ == "__main__":
    assert Path("engine").is_dir(), "run it from the project's folder: python -m tests.bench.chat"
    main()
