"""One client and four at once, through ``bittern serve`` and straight to the same llama.cpp: tokens a second of all together."""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

from engine.devices import prepare_environment

prepare_environment()
os.environ["HF_HUB_OFFLINE"] = "1"
TOKENS, ROUNDS, CLIENTS = 96, 5, 4
PROMPTS = ("Tell me about herons.", "Write about the sea.", "What is a river?", "Describe a reed bed.")


def stream(place: tuple[str, int], token: str, model: str, prompt: str) -> int:
    """Tokens of one streamed answer."""
    connection = HTTPConnection(*place, timeout=300)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
        "ignore_eos": True,
    }
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    count = 0
    while line := answer.readline():
        if line.startswith(b"data: {"):
            count += sum(bool(choice["delta"].get("content")) for choice in json.loads(line[6:])["choices"])
    connection.close()
    return count


def rate(place: tuple[str, int], token: str, model: str, clients: int) -> float:
    """Tokens a second of ``clients`` at once, prefill and all."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        tokens = sum(pool.map(lambda prompt: stream(place, token, model, prompt), PROMPTS[:clients]))
    return tokens / (time.perf_counter() - began)


def measure(name: str, ways: dict[str, tuple[tuple[str, int], str]], model: str) -> None:
    """Every way and number of clients in turn, round by round, so that noise meets all alike."""
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(ROUNDS + 1):
        for way, (place, token) in ways.items():
            for clients in (1, CLIENTS):
                value = rate(place, token, model, clients)
                if number:
                    found.setdefault((way, clients), []).append(value)
    middle = {key: statistics.median(values) for key, values in found.items()}
    for way in ways:
        one, four = middle[way, 1], middle[way, CLIENTS]
        print(f"{name}, {way:<22} one client {one:6.1f} tok/s   {CLIENTS} at once {four:6.1f} tok/s   ratio {four / one:.2f}", flush=True)
    first, *others = ways
    for other in others:
        print(
            f"{name}: {first} / {other}: {middle[first, 1] / middle[other, 1]:.2f} (one), {middle[first, CLIENTS] / middle[other, CLIENTS]:.2f} ({CLIENTS})"
        )


def door(upstream: Any, model: str) -> tuple[tuple[str, int], str]:
    """Ours in front of an engine, as ``serve`` puts it there."""
    from engine.serving.door import Door, Served
    from engine.serving.figures import Figures

    made = Door("127.0.0.1", 0, Served(model, upstream, "bench", Figures(), 0))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made.server_address[:2], "bench"  # type: ignore[return-value]


def main() -> None:
    from engine.serving.llama import LlamaServer
    from tests.bench.home import bench_home

    workspace = bench_home("smollm2")
    llama = LlamaServer("smollm2", workspace.models.get("smollm2"), workspace.settings, CLIENTS)
    direct = (llama._place, llama._key)
    measure("llama.cpp", {"bittern serve": door(llama, "smollm2"), "llama.cpp directly": direct}, "smollm2")
    if "torch" in sys.argv:
        from engine.jobs.context import CancelToken, JobContext
        from engine.models.convert import trainable_folder
        from engine.serving.process import transformers_serve
        from engine.serving.upstream import wait_until

        llama.close()
        folder = trainable_folder(JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False), workspace.models.get("smollm2"))
        served = transformers_serve(folder, None, workspace.settings, CLIENTS, workspace.paths.logs / "bench-serve.log")
        try:
            wait_until(served.healthy, served.check, lambda seconds: bool(time.sleep(seconds)))
            measure("transformers serve", {"bittern serve": door(served, "smollm2")}, "smollm2")
        finally:
            served.close()
    sys.stdout.flush()
    os._exit(0)  # llama.cpp's threads are not waited for


if __name__ == "__main__":
    main()
