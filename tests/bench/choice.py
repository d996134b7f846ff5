"""Multiple choice: Bittern's likelihoods against lm-evaluation-harness (HFLM), the same rows, model and types (float32).

60 questions over passages, made up: neither side reads them. HFLM has the best of its batch sizes on the first of them.
``python -m tests.bench choice``.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

from engine.devices import prepare_environment, set_torch_threads

prepare_environment()
ROWS, ROUNDS, BATCHES, SEARCHED = 60, 2, (1, 4, 16), 12


def questions() -> list[tuple[str, list[str]]]:
    """Prompts of about 40 to 100 tokens, each with four options."""
    draw = random.Random(0)
    words = ["heron", "reed", "water", "patience", "stands", "listens", "the", "of", "morning", "slow", "river", "grey"]
    found = []
    for _ in range(ROWS):
        passage = " ".join(draw.choice(words) for _ in range(draw.randrange(15, 60)))
        options = [" ".join(draw.choice(words) for _ in range(draw.randrange(1, 7))) for _ in range(4)]
        found.append((f"{passage}.\n\nQuestion: What does the passage tell?\nAnswer:", [f" {option}" for option in options]))
    return found


def main() -> None:
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from engine.evaluation.likelihood import Likelihood, encode_pair, reads
    from engine.models.load import load_causal
    from tests.bench.home import bench_home

    folder = bench_home("smollm2").paths.models / "smollm2-safetensors"
    if not Path(folder).is_dir():
        raise SystemExit("The starter is not converted yet: train it once in the bench's workspace.")
    set_torch_threads(0)
    model, tokenizer = load_causal(folder, None, "float32")
    asked = questions()
    instances = [Instance("loglikelihood", {}, (prompt, end), at) for at, (prompt, ends) in enumerate(asked) for end in ends]

    def ours(size: int) -> tuple[float, list[float]]:
        began = time.perf_counter()
        pairs = [encode_pair(tokenizer, prompt, end, special=True) for prompt, ends in asked for end in ends]
        found = Likelihood(model, tokenizer.pad_token_id, reads(model, tokenizer)).score(pairs, size)
        return time.perf_counter() - began, [said.nats for said in found]

    def theirs(size: int, rows: int = ROWS) -> tuple[float, list[float]]:
        lm: Any = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size)
        began = time.perf_counter()
        found = lm.loglikelihood(instances[: rows * 4], disable_tqdm=True)
        return time.perf_counter() - began, [nats for nats, _ in found]

    with torch.inference_mode():
        theirs(4, 2)
        best = min(BATCHES, key=lambda size: theirs(size, SEARCHED)[0])
        pairs = [(ours(8), theirs(best)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    (_, nats), (_, others) = pairs[0]
    agree = sum(max(range(at, at + 4), key=nats.__getitem__) == max(range(at, at + 4), key=others.__getitem__) for at in range(0, len(nats), 4))
    print(f"{ROWS} questions, four options, float32, {torch.get_num_threads()} threads")
    print(f"Bittern, batch 8     {mine:6.1f} s  {ROWS / mine:5.1f} questions/s")
    print(f"HFLM, batch {best:<8} {other:6.1f} s  {ROWS / other:5.1f} questions/s   ratio {other / mine:.2f}")
    print(
        f"largest difference of a log-likelihood {max(abs(a - b) for a, b in zip(nats, others, strict=True)):.1e} nats; the same choice on {agree} of {ROWS}"
    )


if __name__ == "__main__":
    main()
