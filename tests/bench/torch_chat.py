"""The transformers backend against ``generate`` by hand with the best settings of a short search, on the starter's converted folder.

Tokens a second, prompt and all; ours and the best by hand alternate. ``python -m tests.bench torch_chat``.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

from engine.devices import cores, prepare_environment

prepare_environment()
ROUNDS, TOKENS = 4, 24
MESSAGES = [{"role": "user", "content": "Tell me a long story about a heron who learned to wait."}]
SETTINGS = [(dtype, attention, threads) for dtype in ("float32", "bfloat16") for attention in ("sdpa", "eager") for threads in sorted({1, cores()})]


def by_hand(model: Any, tokenizer: Any, threads: int, tokens: int = TOKENS) -> float:
    """Tokens a second of the clock."""
    import torch

    torch.set_num_threads(threads)
    encoded = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    began = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(**encoded, max_new_tokens=tokens, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    return (out.shape[1] - encoded["input_ids"].shape[1]) / (time.perf_counter() - began)


def ours(model: Any) -> float:
    from engine.inference.protocol import Sampling
    from engine.jobs.context import CancelToken

    began = time.perf_counter()
    *_, last = model.stream(MESSAGES, Sampling(temperature=0, repetition_penalty=1.0, max_tokens=TOKENS).as_dict(), "", "", CancelToken())
    return float(last["usage"]["completion_tokens"]) / (time.perf_counter() - began)


def main() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from engine.inference.torch_model import TorchModel
    from tests.bench.home import bench_home

    folder = bench_home("smollm2").paths.models / "smollm2-safetensors"
    if not folder.is_dir():
        raise SystemExit("The starter is not converted yet: train it once in the bench's workspace.")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found: dict[tuple[str, str, int], float] = {}
    for dtype, attention, threads in SETTINGS:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation=attention).eval()
        by_hand(model, tokenizer, threads, 2)
        found[dtype, attention, threads] = by_hand(model, tokenizer, threads, 12)
        print(f"by hand, {dtype:9}{attention:6} {threads} threads  {found[dtype, attention, threads]:6.2f} tok/s", flush=True)
    dtype, attention, threads = max(found, key=lambda way: found[way])
    peer = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation=attention).eval()
    mine = TorchModel("smollm2", str(folder), 4096, 0)
    ratios, rates = [], []
    for number in range(ROUNDS + 1):
        theirs = by_hand(peer, tokenizer, threads)
        torch.set_num_threads(cores())
        got = ours(mine)
        if number:
            ratios.append(got / theirs)
            rates.append((got, theirs))
    print(
        f"generate by hand      {statistics.median(b for _, b in rates):6.2f} tok/s   ({dtype}, {attention}, {threads} threads; median of {ROUNDS})"
    )
    print(f"bittern               {statistics.median(a for a, _ in rates):6.2f} tok/s")
    print(f"ratio: {statistics.median(ratios):.2f} (at least 1.0), best {max(ratios):.2f}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    assert Path("engine").is_dir(), "run it from the project's folder"
    main()
