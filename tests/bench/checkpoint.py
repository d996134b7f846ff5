"""What a checkpoint of an adapter costs, and how long a resumed training takes to its first step beside a fresh one.

On the starter. Each start is a process of its own, as a job is, and counts from its birth: the libraries, the rows as tokens,
the model. The measure that a fresh training begins with is left out: it would flatter the resume.
``python -m tests.bench checkpoint``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.step import context, workspace_with_rows

ROUNDS, SAVES, TRAINED = 3, 6, 9
"""Starts of each kind; checkpoints timed; the job that made them, which the resumed ones go on from."""


def train(home: Path, number: int, steps: int, begin: Any) -> list[float]:
    """Seconds of each checkpoint of a training that calls ``begin`` before each of its steps."""
    from transformers import TrainerCallback

    from engine.devices import set_torch_threads
    from engine.models.convert import trainable_folder
    from engine.store.workspace import Workspace
    from engine.training import checkpoints, loop
    from engine.training.recipes import recipe
    from engine.training.spec import TrainSpec

    set_torch_threads(0)
    saves: list[float] = []
    build, seal = loop.build, checkpoints.seal

    class First(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            begin()

    def watched(*args: Any, **kwargs: Any) -> Any:
        trainer = build(*args, **kwargs)
        trainer.args.eval_on_start = False
        trainer.add_callback(First())
        save = trainer._save_checkpoint

        def timed(*args: Any, **kwargs: Any) -> None:
            start = time.perf_counter()
            save(*args, **kwargs)
            saves.append(time.perf_counter() - start)

        trainer._save_checkpoint = timed
        return trainer

    def sealed(folder: Path, seconds: float) -> None:
        start = time.perf_counter()
        seal(folder, seconds)
        saves[-1] += time.perf_counter() - start

    loop.build, checkpoints.seal = watched, sealed
    workspace = Workspace(home)
    job, how = context(workspace, number), recipe("sft")
    spec = TrainSpec(
        recipe="sft", base="smollm2", dataset="requests", name="out", max_steps=steps, save_steps=1, max_length=96, batch_size=2, eval_rows=8,
        eval_steps=10**6,
    )  # fmt: skip
    folder = trainable_folder(job, workspace.models.get("smollm2"))
    loop.train(job, spec, how, how.prepare(job, spec, folder), folder)
    workspace.close()
    return saves


def start(home: Path, number: int) -> float:
    """Seconds from the birth of a process to the first step of the training in it."""
    born = time.time()
    done = subprocess.run([sys.executable, "-m", "tests.bench.checkpoint", str(home), str(number)], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1]) - born


def begun() -> None:
    print(time.time(), flush=True)
    os._exit(0)


def main() -> None:
    if len(sys.argv) == 3:
        train(Path(sys.argv[1]), int(sys.argv[2]), SAVES + 1, begun)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        workspace, _, _ = workspace_with_rows(home)
        workspace.close()
        saves = train(home, TRAINED, SAVES, lambda: None)
        told = ", ".join(f"{seconds:.3f}" for seconds in saves)
        print(f"checkpoint  {statistics.median(saves):.3f} s (median of {len(saves)}, synced to the disk: {told}; goal under 0.5)", flush=True)
        start(home, 20)  # Warm: the first reads the libraries from the disk.
        pairs = []
        for number in range(30, 30 + 2 * ROUNDS, 2):
            shutil.copytree(home / "jobs" / f"{TRAINED:04d}", home / "jobs" / f"{number + 1:04d}")
            pairs.append((start(home, number), start(home, number + 1)))
    for who, seconds in zip(("fresh", "resumed"), zip(*pairs, strict=True), strict=True):
        print(f"{who:10} {statistics.median(seconds):.2f} s to its first step ({', '.join(f'{value:.2f}' for value in seconds)})")
    print(f"ratio      {statistics.median(after / before for before, after in pairs):.2f} (goal under 1.2)")


if __name__ == "__main__":
    main()
