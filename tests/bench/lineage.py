"""Changing a dataset, beside ``datasets`` doing the same and saving it: one row in 100,000, then all of them."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.data.edit import Quiet
from engine.data.lineage import steps, versions
from engine.jobs.context import CancelToken
from engine.store.datasets import DatasetRecord
from engine.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 100_000
EDITS = 30
WORDS = ("the quick brown heron stands very still at the water's edge and listens for small fish in the reeds " * 2).split()


def main() -> None:
    import datasets

    datasets.disable_progress_bars()
    root = Path(tempfile.mkdtemp(prefix="bittern-bench-lineage-"))
    try:
        workspace = Workspace(root / "home")
        data = datasets.Dataset.from_dict(
            {
                "text": [f"{' '.join(WORDS[n % 20 :])} {n}" for n in range(ROWS)],
                "label": ["ab"[n % 2] for n in range(ROWS)],
                "n": list(range(ROWS)),
            }
        )
        folder = root / "home" / "datasets" / "rows" / "v0"
        data.save_to_disk(str(folder / "train"))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        features, roles = {"text": "string", "label": "string", "n": "int64"}, {"text": "text", "label": "label"}
        workspace.datasets.put(DatasetRecord("rows", "bench", str(folder), "v0", {"train": ROWS}, features, "classification", roles, size))
        run(root, workspace, datasets.load_from_disk(str(folder / "train")), size)
        workspace.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(root: Path, workspace: Workspace, data: Any, size: int) -> None:
    pace = Quiet(CancelToken())

    def label(number: int) -> None:
        versions.edit(workspace, pace, "rows", steps.Label(split="train", row=number * 7919 % ROWS, column="label", value=f"c{number}"))

    def saved(made: Any) -> None:
        target = root / "peer"
        made.save_to_disk(str(target))
        shutil.rmtree(target)

    first = seconds(lambda: label(1))
    ours = statistics.median(seconds(lambda n=n: label(n)) for n in range(2, EDITS))  # type: ignore[misc]

    def one(labels: list[str], at: list[int]) -> dict[str, list[str]]:
        return {"label": ["c0" if number == 5 else value for value, number in zip(labels, at, strict=True)]}

    theirs = seconds(lambda: saved(data.map(one, with_indices=True, batched=True, input_columns="label", load_from_cache_file=False)))
    print(f"{ROWS:,} rows, {size / 1e6:.0f} MB")
    print(f"one label: the first {first * 1e3:.0f} ms, then {ours * 1e3:.0f} ms each (median of {EDITS - 2}); datasets: map and save {theirs:.2f} s")
    versions.go_to(workspace, "rows", 1)
    pairs: list[tuple[steps.Step, Callable[[], None]]] = [
        (steps.Filter(expression="n % 3 = 0"), lambda: saved(data.filter(lambda n: [v % 3 == 0 for v in n], batched=True, input_columns="n", load_from_cache_file=False))),
        (steps.Map(column="length", expression="length(text)"), lambda: saved(data.map(lambda b: {"length": list(map(len, b["text"]))}, batched=True, load_from_cache_file=False))),
        (steps.Shuffle(seed=1), lambda: saved(data.shuffle(seed=1, load_from_cache_file=False))),
        (steps.Rename(old="text", new="body"), lambda: saved(data.rename_column("text", "body"))),
    ]  # fmt: skip
    for step, peer in pairs:
        ours = seconds(lambda step=step: versions.change(workspace, pace, "rows", step))  # type: ignore[misc]
        theirs = seconds(peer)
        print(f"{step.kind:8} {ours:6.2f} s; datasets, with saving: {theirs:6.2f} s; {theirs / ours:.1f} times as fast")
        versions.go_to(workspace, "rows", 1)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
