"""The transformers backend against ``generate`` by hand with the best settings of a short search, on the starter's converted folder.

Tokens a second, prompt and all; ours and the best by hand alternate. ``python -m tests.bench torch_chat``, about a minute.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.devices import cores, prepare_environment

prepare_environment()
if TYPE_CHECKING:
    from pathlib import Path

ROUNDS, TOKENS, TRIED = 5, 32, 12
MESSAGES = [{"role": "user", "content": "Tell me a long story about a heron who learned to wait."}]


class Way(NamedTuple):
    dtype: str = "float32"
    attention: str = "sdpa"
    threads: int = 1
    cache: str = "dynamic"


class ByHand:
    """A model as a person would load it for ``generate``."""

    def __init__(self, folder: Path, way: Way) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.way = way
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, way.dtype), attn_implementation=way.attention).eval()
        self.rate(2)

    def rate(self, tokens: int = TOKENS) -> float:
        """Tokens a second of the clock."""
        import torch

        torch.set_num_threads(self.way.threads)
        encoded = self._tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        more: dict[str, Any] = {} if self.way.cache == "dynamic" else {"cache_implementation": self.way.cache}
        began = time.perf_counter()
        with torch.inference_mode():
            out = self._model.generate(**encoded, max_new_tokens=tokens, do_sample=False, pad_token_id=self._tokenizer.eos_token_id, **more)
        return float(out.shape[1] - encoded["input_ids"].shape[1]) / (time.perf_counter() - began)


def search(folder: Path) -> Way:
    """The fastest way by hand: dtype and threads first, then attention and cache."""
    found: dict[Way, float] = {}

    def best(ways: list[Way]) -> Way:
        for way in ways:
            peer = ByHand(folder, way)
            found[way] = max(peer.rate(TRIED) for _ in range(2))
            print(f"by hand, {way.dtype:9}{way.attention:6}{way.cache:8} {way.threads} threads  {found[way]:6.2f} tok/s", flush=True)
        return max(found, key=lambda way: found[way])

    coarse = best([Way(dtype, threads=threads) for dtype in ("float32", "bfloat16") for threads in sorted({1, cores()})])
    return best([coarse._replace(attention="eager"), coarse._replace(cache="static")])


def ours(model: Any) -> float:
    import torch

    from engine.inference.protocol import Sampling
    from engine.jobs.context import CancelToken

    torch.set_num_threads(cores())
    # The prompt is to be read each time, as by hand: what a second turn saves is another bench's.
    model._cache = None
    began = time.perf_counter()
    *_, last = model.stream(MESSAGES, Sampling(temperature=0, repetition_penalty=1.0, max_tokens=TOKENS).as_dict(), "", "", CancelToken())
    return float(last["usage"]["completion_tokens"]) / (time.perf_counter() - began)


def main() -> None:
    from engine.inference.torch_model import TorchModel
    from engine.jobs.context import CancelToken, JobContext
    from engine.models.convert import trainable_folder
    from tests.bench.home import bench_home

    workspace = bench_home("smollm2")
    job = JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False)
    folder = trainable_folder(job, workspace.models.get("smollm2"))
    peer = ByHand(folder, search(folder))
    mine = TorchModel("smollm2", str(folder), 4096, 0)
    way, rounds = peer.way, []
    for number in range(ROUNDS + 1):
        got, theirs = ours(mine), peer.rate()
        if number:
            rounds.append((got, theirs))
    print(f"generate by hand      {statistics.median(b for _, b in rounds):6.2f} tok/s   ({', '.join(map(str, way))} threads; median of {ROUNDS})")
    print(f"bittern               {statistics.median(a for a, _ in rounds):6.2f} tok/s   ({mine.facts(CancelToken())['quantisation']})")
    ratios = [got / theirs for got, theirs in rounds]
    print(
        f"ratio: {statistics.median(ratios):.2f} (at least 1.0), {min(ratios):.2f} to {max(ratios):.2f}; load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    os._exit(0)


if __name__ == "__main__":
    main()
