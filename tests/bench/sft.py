"""LoRA fine-tuning of the starter: Bittern's training against a plain ``SFTTrainer`` script of TRL.

The same rows, hyperparameters and number of rows a step; each in a process of its own, one after the other. A token counts once
and padding never; the held-out loss is measured in one way for all. TRL stands here twice: with its defaults left alone (bfloat16,
activations computed twice), and as one who knows it would set it on a CPU (``tuned``: float32, activations kept). The seconds of
CPU are told besides: they say the same on a machine that does other work too. Fewer than ten steps leave few rows to group by length.
Needs the extra ``bench``.
``python -m tests.bench.sft [STEPS]``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.devices import prepare_environment

prepare_environment()
BATCH, LENGTH, RATE = 8, 256, 1e-3
STEPS = next((int(word) for word in sys.argv if word.isdigit()), 10)
WHO = {"ours": "Bittern", "tuned": "SFTTrainer, tuned", "theirs": "SFTTrainer, its defaults"}
MINUTES = 20
"""How long each may take: without native bfloat16, TRL's defaults need many times as long as either of the others."""
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sft-selfinstruct"


def rows() -> list[dict[str, str]]:
    """Instructions with their answers: self-instruct where it is here, else made ones."""
    from engine.tour import requests

    found: list[dict[str, str]] = []
    for file in sorted(DATA.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            asked = "\n\n".join(part for part in (row.get("instruction", ""), row.get("input", "")) if part)
            if asked and row.get("output"):
                found.append({"prompt": asked, "completion": row["output"]})
    return found or [{"prompt": row["instruction"], "completion": row["output"]} for row in requests(STEPS * BATCH + 40)]


def chosen(tokenizer: Any) -> tuple[list[Any], list[Any]]:
    """``(train, held out)``: rows that fit the length whole, as :class:`engine.training.mask.Encoded` with their messages."""
    from engine.training.mask import encode

    found = []
    for row in rows():
        messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
        encoded = encode(tokenizer, messages, LENGTH)
        if encoded is not None and not encoded.cut:
            found.append((encoded, messages))
    return found[: STEPS * BATCH], found[STEPS * BATCH : STEPS * BATCH + 24]


def held_out_loss(model: Any, tokenizer: Any, held: list[Any]) -> float:
    """Nats a token of the answers, the stop token included."""
    import torch

    from engine.training.collate import Pad

    model.eval()
    total, count = 0.0, 0
    for at in range(0, len(held), 4):
        batch = Pad(tokenizer.pad_token_id)([{"input_ids": one.input_ids, "labels": one.labels} for one, _ in held[at : at + 4]])
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1].float()
        labels = batch["labels"][:, 1:]
        total += float(torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="sum"))
        count += int((labels != -100).sum())
    return total / count


def theirs(folder: Path, place: Path, **more: Any) -> tuple[float, float, Any, Any]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from engine.models.load import load_tokenizer

    learnt, _ = chosen(load_tokenizer(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    data = Dataset.from_list([{"prompt": messages[:-1], "completion": messages[-1:]} for _, messages in learnt])
    args = SFTConfig(
        output_dir=str(place / "trl"), max_steps=STEPS, per_device_train_batch_size=BATCH, learning_rate=RATE, max_length=LENGTH, warmup_steps=0.05,
        lr_scheduler_type="linear", seed=0, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True,
        **more,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), args=args, train_dataset=data, processing_class=tokenizer,
        peft_config=LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    began, busy = time.perf_counter(), time.process_time()
    trainer.train()
    return time.perf_counter() - began, time.process_time() - busy, trainer.model, tokenizer


def tuned(folder: Path, place: Path) -> tuple[float, float, Any, Any]:
    return theirs(folder, place, bf16=False, gradient_checkpointing=False)


def ours(folder: Path, place: Path) -> tuple[float, float, Any, Any]:
    from engine.devices import set_torch_threads
    from engine.models.load import load_tokenizer
    from engine.store.workspace import Workspace
    from engine.training import loop
    from engine.training.recipes import recipe
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec
    from tests.bench.step import context

    set_torch_threads(0)
    tokenizer = load_tokenizer(folder)
    learnt, held = chosen(tokenizer)
    read, kept = ([{"input_ids": one.input_ids, "labels": one.labels} for one, _ in part] for part in (learnt, held[:8]))
    spec = TrainSpec(
        recipe="sft", base="smollm2", dataset="rows", name="out", max_steps=STEPS, batch_size=BATCH, max_length=LENGTH, learning_rate=RATE,
        eval_steps=10**6, save_steps=10**6,
    )  # fmt: skip
    workspace = Workspace(place / "home")
    seconds: list[tuple[float, float]] = []
    build = loop.build

    def watched(*args: Any, **kwargs: Any) -> Any:
        # The clock runs over train() alone on both sides, and the measures before and after it, which TRL does not have, are left out.
        trainer = build(*args, **kwargs)
        trainer.args.eval_on_start, trainer.args.eval_strategy = False, "no"
        train = trainer.train

        def timed(**how: Any) -> Any:
            began, busy = time.perf_counter(), time.process_time()
            found = train(**how)
            seconds.append((time.perf_counter() - began, time.process_time() - busy))
            return found

        trainer.train = timed
        return trainer

    loop.build = watched
    trained = loop.train(context(workspace, 1), spec, recipe("sft"), Prepared(read, kept, tokenizer), folder)
    return *seconds[0], trained.model, tokenizer


def one(who: str, place: Path) -> None:
    from engine.models.load import load_tokenizer
    from tests.bench.home import bench_home

    folder = bench_home("smollm2").paths.models / "smollm2-safetensors"
    seconds, busy, model, tokenizer = {"ours": ours, "theirs": theirs, "tuned": tuned}[who](folder, place)
    learnt, held = chosen(load_tokenizer(folder))
    tokens = sum(len(row.input_ids) for row, _ in learnt)
    print(json.dumps({"seconds": seconds, "busy": busy, "tokens": tokens, "loss": held_out_loss(model, tokenizer, held)}))


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in WHO:
        one(sys.argv[1], Path(sys.argv[2]))
        return
    told: dict[str, dict[str, float]] = {}
    for who, name in WHO.items():
        words = [sys.executable, "-m", "tests.bench.sft", who]
        try:
            with tempfile.TemporaryDirectory() as place:
                done = subprocess.run([*words, place, str(STEPS)], check=True, capture_output=True, text=True, timeout=60 * MINUTES)
        except subprocess.TimeoutExpired:
            print(f"{name:25} had not ended after {MINUTES} minutes", flush=True)
            continue
        told[who] = found = json.loads(done.stdout.splitlines()[-1])
        rate, busy = found["tokens"] / found["seconds"], found["tokens"] / found["busy"]
        print(
            f"{name:25} {rate:6.1f} tokens/s, {busy:6.1f} a second of CPU ({found['tokens']} in {found['seconds']:.0f} s),"
            f" held-out loss {found['loss']:.3f}",
            flush=True,
        )
    for who in (who for who in told if who != "ours"):
        wall, busy = (told[who][kind] / told["ours"][kind] for kind in ("seconds", "busy"))
        print(f"ratio to {WHO[who]:25} {wall:.2f} by the clock, {busy:.2f} by CPU (goal 1.5), {STEPS} steps of {BATCH} rows, at most {LENGTH} tokens")


if __name__ == "__main__":
    main()
