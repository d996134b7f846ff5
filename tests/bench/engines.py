"""Weights for llama.cpp, and prompt lookup where an answer quotes its prompt: tokens for each second of the process's CPU.

CPU time, because other work on the machine would be measured otherwise; ways alternate within a round.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.devices import cores, prepare_environment

prepare_environment()
ROUNDS = 3
PASSAGE = (
    "The keeper of the north pond writes down each morning how many herons stand in the shallows. In the wet spring of the year of the "
    "flood she counted forty-one, more than ever before; in the summer after it only three. She thinks that the frogs had moved away."
)
QUESTIONS = (
    "Repeat what the text says about the spring and the summer.", "What does the keeper write down? Quote the text.",
    "Write the text again, word for word.", "What does she think, and why? Answer with sentences of the text.",
)  # fmt: skip


def server(path: str, lookup: tuple[int, int] | None = None) -> Any:
    """``lookup``: tokens that must match, tokens that are copied."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores()
    parameters.verbosity = -1
    parameters.warmup = False
    parameters.port = 0
    if lookup:
        parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        parameters.speculative.ngram_simple.size_n, parameters.speculative.ngram_simple.size_m = lookup
    return xllamacpp.Server(parameters)


def ask(loaded: Any, text: str, tokens: int) -> tuple[str, int, int, float]:
    """The answer, tokens of the prompt, tokens of the answer, and seconds of CPU."""
    began = time.process_time()
    got = loaded.handle_chat_completions(
        {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0.0, "repeat_penalty": 1.0, "cache_prompt": True}
    )
    usage = got["usage"]
    return got["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"], time.process_time() - began


def weights(path: Path, folder: Path) -> None:
    from engine.inference.perplexity import perplexity
    from engine.models.gguf_header import read_header
    from engine.models.quantise import KINDS, quantise
    from engine.search.guide import guide_rows

    text = "\n\n".join(row["text"] for row in guide_rows())
    files = {read_header(path).quantisation: path}
    for kind in KINDS:
        quantise(path, folder / f"{kind}.gguf", kind)
        files[kind] = folder / f"{kind}.gguf"
    quality = {name: perplexity(file, text, 250) for name, file in files.items()}
    loaded = {name: server(str(file)) for name, file in files.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in files}
    for number in range(ROUNDS + 1):
        for name, one in loaded.items():
            _, prompt, _, spent = ask(one, f"{number} {PASSAGE * 4}", 1)
            _, _, made, more = ask(one, "Tell me a long story about a heron.", 32)
            if number:
                found[name].append((prompt / spent, made / more))
    own = next(iter(files))
    base = [statistics.median(column) for column in zip(*found[own], strict=True)]
    for name, figures in found.items():
        prefill, decode = (statistics.median(column) for column in zip(*figures, strict=True))
        print(
            f"{name:6} prefill {prefill:6.1f} tok/cpu-s (ratio: {prefill / base[0]:.2f})   decode {decode:5.1f} (ratio: {decode / base[1]:.2f})"
            f"   perplexity {quality[name]:.2f} ({100 * (quality[name] / quality[own] - 1):+.1f} %, at most +2)",
            flush=True,
        )


def grounded(path: Path) -> None:
    ways = {"plain": None, "4 matched, 8 copied": (4, 8), "3 matched, 12 copied": (3, 12)}
    loaded = {name: server(str(path), lookup) for name, lookup in ways.items()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    same = True
    for question in QUESTIONS:
        said = set()
        for name, one in loaded.items():
            text = f"Text: {PASSAGE}\n\n{question}"
            ask(one, text, 1)
            answer, _, made, spent = ask(one, text, 64)
            said.add(answer)
            rates[name].append(made / spent)
        same = same and len(said) == 1
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, rates["plain"], strict=True))
        print(f"lookup {name:21} {statistics.median(found):6.1f} tok/cpu-s   ratio: {ratio:.2f} (at least 1.2)")
    print(f"the same texts in all: {same}", flush=True)


def main() -> None:
    from tests.bench.home import bench_home

    path = Path(bench_home("smollm2").models.get("smollm2").gguf)
    grounded(path)
    with tempfile.TemporaryDirectory(prefix="bittern-engines-") as folder:
        weights(path, Path(folder))
    os._exit(0)  # llama.cpp's threads are not waited for


if __name__ == "__main__":
    main()
