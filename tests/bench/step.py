"""Seconds a training step: Bittern's loop against a bare Trainer script with the same model, rows and arguments.

The two are alternated in one run, so that what else the machine does falls on both, and both take the rows in the same
order. Measured on the starter; ``python -m tests.bench.step tiny`` takes the tests' tiny model, whose steps are so short
that they show what the loop itself costs.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

prepare_environment()
os.environ["HF_HUB_OFFLINE"] = "1"

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext

ROUNDS = 5


def workspace_with_rows(root: Path) -> tuple[Any, str, int]:
    """``(workspace, model, steps)`` with the dataset ``requests`` in it."""
    from datasets import Dataset

    from engine.data.shape import recognise
    from engine.models.convert import trainable_folder
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace
    from engine.tour import requests
    from tests.bench.home import bench_home
    from tests.fakes.tiny import chat_model

    workspace = Workspace(root)
    rows = requests(220)
    folder = root / "datasets" / "requests"
    Dataset.from_list(rows).save_to_disk(str(folder / "train"))
    features = {"instruction": "string", "output": "string"}
    shape, columns = recognise(features, rows[:20])
    workspace.datasets.put(DatasetRecord("requests", "bench", str(folder), "0", {"train": len(rows)}, features, shape, columns, 0))
    if "tiny" in sys.argv:
        workspace.models.put(ModelRecord("tiny", "chat", "bench", 0, folder=str(chat_model(root / "models" / "tiny"))))
        return workspace, "tiny", 100
    theirs = bench_home("smollm2")
    trainable_folder(context(theirs, 0), theirs.models.get("smollm2"))
    workspace.models.put(theirs.models.get("smollm2"))
    theirs.close()
    return workspace, "smollm2", 8


def context(workspace: Any, number: int) -> JobContext:
    """A job whose events go where a real one's go: into a file, as JSON."""
    from engine import events
    from engine.jobs.context import CancelToken, JobContext

    folder = workspace.paths.job(str(number))
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / "events.jsonl").open("a", encoding="utf-8")

    def emit(event: Any) -> None:
        handle.write(json.dumps(events.to_dict(event)) + "\n")
        handle.flush()

    return JobContext(str(number), workspace, emit, CancelToken(), resumed=False)


def clocked(train: Callable[..., Any], **how: Any) -> tuple[float, float]:
    """Seconds of wall and of this process's CPU that ``train`` takes."""
    began, busy = time.perf_counter(), time.process_time()
    train(**how)
    return time.perf_counter() - began, time.process_time() - busy


def watched(build: Callable[..., Any], taken: list[tuple[float, float]]) -> Callable[..., Any]:
    """``build``, of which each Trainer's ``train`` notes in ``taken`` what it took."""

    def built(*args: Any, **kwargs: Any) -> Any:
        trainer = build(*args, **kwargs)
        train = trainer.train
        trainer.train = lambda **how: taken.append(clocked(train, **how))
        return trainer

    return built


def main() -> None:
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback

    from engine.devices import set_torch_threads
    from engine.models.convert import trainable_folder
    from engine.training import loop
    from engine.training.recipes import recipe
    from engine.training.spec import TrainSpec

    set_torch_threads(0)
    with tempfile.TemporaryDirectory() as place:
        workspace, name, steps = workspace_with_rows(Path(place))
        spec = TrainSpec(
            recipe="sft", base=name, dataset="requests", name="out", max_steps=steps, max_length=96, eval_rows=8, eval_steps=10**6, batch_size=8
        )
        how = recipe("sft")
        job = context(workspace, 1)
        folder = trainable_folder(job, workspace.models.get(name))
        prepared = how.prepare(job, spec, folder)

        taken: list[tuple[float, float]] = []
        loop.build = watched(loop.build, taken)

        def ours(number: int) -> tuple[float, float]:
            loop.train(context(workspace, number), spec, how, prepared, folder)
            return taken.pop()

        def bare(number: int) -> tuple[float, float]:
            set_seed(spec.seed)
            model = how.model(spec, folder, prepared)
            args = loop.arguments(spec, how, len(prepared.train), Path(place) / f"bare-{number}", resumed=False)
            # What a person's own script would leave at its defaults.
            args.include_num_input_tokens_seen, args.logging_steps, args.save_strategy = "no", 500, "no"
            # A Trainer with nothing but the row order that ours has: other orders pad more, or less.
            trainer = how.trainer(spec, prepared, model, args)
            trainer.remove_callback(PrinterCallback)
            return clocked(trainer.train)

        bare(0)  # Warm: the first steps pay for pages and kernels.
        seconds: dict[str, list[tuple[float, float]]] = {"bare": [], "bittern": []}
        for number in range(ROUNDS):
            seconds["bare"].append(bare(number + 10))
            seconds["bittern"].append(ours(number + 10))
        workspace.close()
    for place, kind in enumerate(("wall", "CPU")):
        taken_by = {who: [values[place] / steps for values in pairs] for who, pairs in seconds.items()}
        for who, values in taken_by.items():
            print(f"{who:8} {statistics.median(values):.4f} s of {kind} a step (median of {ROUNDS}; {', '.join(f'{value:.4f}' for value in values)})")
        ratio = statistics.median(mine / other for mine, other in zip(taken_by["bittern"], taken_by["bare"], strict=True))
        print(f"ratio    {ratio:.3f} by {kind} on {name}, {steps} steps of 8 rows (goal 1.03 at most)")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"measured in {time.monotonic() - began:.0f} s")
