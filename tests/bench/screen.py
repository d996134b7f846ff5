"""The screen while a fine-tune runs: event-loop lag, and the chat's speed beside its idle speed."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.engine import Engine

prepare_environment()
TICK = 0.005
WATCH = 45.0
PROMPT = "Tell me a long story about a heron who learned to wait."


async def watch_lag(lags: list[float], until: asyncio.Event) -> None:
    """How late the loop comes back from a short sleep, again and again; in seconds."""
    while not until.is_set():
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - began - TICK)


async def chat_rate(engine: Engine) -> float:
    """Decoded tokens a second of one answer through the engine, as the chat box asks for it."""
    line = f"chat --model smollm2 --session bench-{time.monotonic_ns()} --temperature 0 --max-tokens 96 {PROMPT}"
    result = await asyncio.to_thread(lambda: engine.run(engine.parse(line)))
    return float(result.data["usage"]["rate"])


async def until(what: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        await asyncio.sleep(0.1)


async def measure(home: Path) -> None:
    from engine.tour import requests
    from tui.app import BitternApp

    rows = home / "lines.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in requests(400)), encoding="utf-8")
    app = BitternApp(home, warm=True, starter=False)
    async with app.run_test(size=(160, 45)):
        await until(lambda: app.bridge.engine is not None, 30)
        engine = app.engine
        engine.run(engine.parse(f"add {rows} --name lines"))
        await until(lambda: engine.workspace.datasets.find("lines"), 60)
        await chat_rate(engine)  # loads the model
        idle = [await chat_rate(engine) for _ in range(3)]
        job = engine.run(engine.parse("train smollm2 --on lines --max-steps 400 --batch-size 4 --eval-rows 8 --eval-steps 400 --allow leak")).data[
            "job"
        ]
        await until(lambda: any(type(event).__name__ == "JobMetric" and event.name == "loss" for event in engine.events_of(job)), 300)  # type: ignore[attr-defined]
        await app.show_detail("job", job)
        lags: list[float] = []
        over = asyncio.Event()
        watcher = asyncio.create_task(watch_lag(lags, over))
        began, beside = time.monotonic(), []
        while time.monotonic() - began < WATCH or len(beside) < 3:
            beside.append(await chat_rate(engine))
            await asyncio.sleep(2)
        over.set()
        await watcher
        assert engine.job(job).state == "running", engine.job(job).error
        engine.run(engine.parse(f"cancel {job}"))
        await until(lambda: engine.job(job).state == "cancelled", 60)
    engine.close(10)
    lags.sort()
    print(
        f"event-loop lag, {len(lags)} samples: p50 {1000 * lags[len(lags) // 2]:.1f} ms, p99 {1000 * lags[int(len(lags) * 0.99)]:.1f} ms (under 20), worst {1000 * lags[-1]:.0f} ms (under 150)"
    )
    one, other = statistics.median(idle), statistics.median(beside)
    print(f"chat alone {one:.1f} tok/s, beside a fine-tune {other:.1f} tok/s")
    print(f"ratio: {other / one:.2f} (at least 0.5)")


def main() -> None:
    from tests.bench.home import bench_home

    shared = bench_home("smollm2", "minilm")
    home = Path(tempfile.mkdtemp(prefix="bittern-screen-"))
    try:
        from engine.store.workspace import Workspace

        ours = Workspace(home)
        for record in shared.models.all():
            ours.models.put(record)
        ours.close()
        asyncio.run(measure(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
