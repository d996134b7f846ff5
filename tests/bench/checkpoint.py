"""What a checkpoint of an adapter costs, and how long a resumed training takes to its first step beside a fresh one.

On the starter, rows read and gates passed beforehand, and without the measure that a fresh training begins with: it would
flatter the resume. ``python -m tests.bench checkpoint``.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.step import context, workspace_with_rows

ROUNDS = 3


def main() -> None:
    from transformers import TrainerCallback

    from engine.devices import set_torch_threads
    from engine.models.convert import trainable_folder
    from engine.training import checkpoints, loop
    from engine.training.recipes import recipe
    from engine.training.spec import TrainSpec

    set_torch_threads(0)
    begun: list[float] = []
    saves: list[float] = []
    build, seal = loop.build, checkpoints.seal

    class First(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            begun.append(time.perf_counter())

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
    with tempfile.TemporaryDirectory() as place:
        workspace, name, _ = workspace_with_rows(Path(place))
        spec = TrainSpec(
            recipe="sft", base=name, dataset="requests", name="out", max_steps=2, save_steps=1, max_length=96, eval_rows=8, eval_steps=10**6
        )
        how = recipe("sft")
        folder = trainable_folder(context(workspace, 1), workspace.models.get(name))
        prepared = how.prepare(context(workspace, 1), spec, folder)

        def starts(number: int, steps: int) -> float:
            begun.clear()
            start = time.perf_counter()
            loop.train(context(workspace, number), spec.model_copy(update={"max_steps": steps}), how, prepared, folder)
            return begun[0] - start

        starts(9, 1)  # Warm: the first load pays for pages.
        pairs = [(starts(number, 2), starts(number, 3)) for number in range(10, 10 + ROUNDS)]
        workspace.close()
    told = ", ".join(f"{seconds:.3f}" for seconds in saves)
    print(f"checkpoint  {statistics.median(saves):.3f} s (median of {len(saves)}, synced to the disk: {told}; goal under 0.5)")
    for who, seconds in zip(("fresh", "resumed"), zip(*pairs, strict=True), strict=True):
        print(f"{who:10} {statistics.median(seconds):.2f} s to its first step ({', '.join(f'{value:.2f}' for value in seconds)})")
    print(f"ratio      {statistics.median(after / before for before, after in pairs):.2f} (goal under 1.2)")


if __name__ == "__main__":
    main()
