"""What a streamed answer costs the screen: CPU time of its loop's thread for each frame, at 100 tokens a second.

A frame is a picture that brings new tokens: one look at what happened, and whatever is then parsed, laid out, drawn and
turned into the terminal's sequences for it. The time of an idle screen is taken off. What the first answer of a sitting
costs once (the import of the parser) is not in it: some words are spoken before. CPU time, because a busy machine would
be measured otherwise; the best stretch is told too, because a busy core also slows each second of CPU.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from engine.devices import prepare_environment

prepare_environment()
RATE, SECONDS, STRETCHES = 100, 3, 5
TEXT = (
    "The **grey heron** stands very still at the water's edge and listens to the reeds and to what moves below them. It waits for a "
    "long time, and then strikes at once; the fish is swallowed whole, the head before the tail, and the bird is `still` again. "
    "When the pond is frozen it goes to the river, where the current keeps the water open, and hunts there until the thaw.\n\n"
)
"""A paragraph of about sixty words."""


async def measure(home: Path) -> None:
    from engine.events import TokenDelta
    from tui.app import BitternApp

    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=(160, 45)) as pilot:
        while app.bridge.engine is None:
            await asyncio.sleep(0.05)
        await pilot.pause()
        app.chat.add("answer", "", verb="chat", ticket="1", busy=True)
        frames = 0
        drain = app.bridge.drain

        def counted() -> list[object]:
            nonlocal frames
            found = drain()
            frames += bool(found)
            return found

        app.bridge.drain = counted  # type: ignore[method-assign, assignment]
        display = app._display

        def displayed(screen: Any, update: Any) -> None:
            # What a terminal would be sent; a test's has no terminal.
            if update is not None and hasattr(update, "render_segments"):
                update.render_segments(app.console)
            display(screen, update)

        app._display = displayed  # type: ignore[method-assign]
        began = time.thread_time()
        await asyncio.sleep(2)
        idle = (time.thread_time() - began) / 2
        words = itertools.cycle(re.findall(r" ?\w{1,7}|\W", TEXT))

        def speak(seconds: float) -> None:
            start = time.perf_counter()
            for number in range(int(RATE * seconds)):
                time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
                app.bridge._heard(TokenDelta(job="1", text=next(words)))

        async def stretch(seconds: float) -> tuple[int, float]:
            """Frames, and milliseconds of CPU for each."""
            nonlocal frames
            frames, began, clock = 0, time.thread_time(), time.perf_counter()
            thread = threading.Thread(target=speak, args=(seconds,))
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            spent = time.thread_time() - began - idle * (time.perf_counter() - clock)
            return frames, 1000 * spent / frames

        await stretch(1)
        found = [await stretch(SECONDS) for _ in range(STRETCHES)]
        drawn = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "frozen" in drawn, "the answer reached the screen"
    costs = [cost for _, cost in found]
    print(
        f"{RATE} tokens a second: {statistics.median(count for count, _ in found) / SECONDS:.1f} frames a second, {statistics.median(costs):.1f} ms "
        f"of CPU a frame (median of {STRETCHES} stretches of {SECONDS} s, best {min(costs):.1f}; under 10), idle {1000 * idle:.0f} ms/s"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bittern-frames-", ignore_cleanup_errors=True) as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
