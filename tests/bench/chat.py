"""Chat on the starter model, through Bittern and through xllamacpp called directly: the same file, prompt and settings."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from engine.devices import cores, prepare_environment

prepare_environment()
PROMPT = "Tell me a long story about a heron who learned to wait."
TOKENS, ROUNDS = 128, 7


def direct(path: str) -> object:
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


def time_direct(server: object) -> float:
    count, first, last = 0, 0.0, 0.0

    def hear(chunk: dict) -> bool:  # type: ignore[type-arg]
        nonlocal count, first, last
        if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", [])):
            last = time.perf_counter()
            first = first or last
            count += 1
        return False

    request = {
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": True,
        "max_tokens": TOKENS,
        "temperature": 0.0,
        "repeat_penalty": 1.0,
        "cache_prompt": True,
    }
    server.handle_chat_completions(request, hear)  # type: ignore[attr-defined]
    return (count - 1) / (last - first)


def time_ours(backend: object) -> float:
    from engine.inference.protocol import Sampling
    from engine.jobs.context import CancelToken

    count, first, last = 0, 0.0, 0.0
    for _ in backend.stream([{"role": "user", "content": PROMPT}], Sampling(temperature=0, repetition_penalty=1.0, max_tokens=TOKENS), CancelToken()):  # type: ignore[attr-defined]
        last = time.perf_counter()
        first = first or last
        count += 1
    return (count - 1) / (last - first)


def main() -> None:
    from engine.inference.pool import ModelPool
    from tests.bench.home import bench_home

    workspace = bench_home("smollm2")
    server = direct(workspace.models.get("smollm2").gguf)
    pool = ModelPool(workspace, hosted=False)
    ours, theirs = [], []
    with pool.use("smollm2") as backend:
        for number in range(ROUNDS + 1):
            a, b = time_ours(backend), time_direct(server)
            if number:
                ours.append(a)
                theirs.append(b)
    print(f"xllamacpp directly  {statistics.median(theirs):6.1f} tok/s   (decode, greedy, {TOKENS} tokens, median of {ROUNDS})")
    print(f"bittern             {statistics.median(ours):6.1f} tok/s")
    print(f"ratio: {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f} (at least 0.95)", flush=True)
    os._exit(0)  # llama.cpp's threads are not waited for


if __name__ == "__main__":
    assert Path("engine").is_dir(), "run it from the project's folder: python -m tests.bench.chat"
    main()
