"""What a streamed answer costs the screen: CPU time of its loop's thread for each frame, at 100 tokens a second.

CPU time, because a busy machine would be measured otherwise.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from pathlib import Path

from engine.devices import prepare_environment

prepare_environment()
RATE, SECONDS = 100, 6
TEXT = (
    "The **grey heron** stands very still at the water's edge and listens to the reeds and to what moves below them. It waits for a "
    "long time, and then strikes at once; the fish is swallowed whole, the head before the tail, and the bird is `still` again. "
    "When the pond is frozen it goes to the river, where the current keeps the water open, and hunts there until the thaw.\n\n"
)
"""A paragraph of about sixty words."""
WORDS = TEXT.split(" ")


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
        began = time.thread_time()
        await asyncio.sleep(2)
        idle = (time.thread_time() - began) / 2

        def speak() -> None:
            start = time.perf_counter()
            for number in range(RATE * SECONDS):
                time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
                app.bridge._heard(TokenDelta(job="1", text=WORDS[number % len(WORDS)] + " "))

        thread = threading.Thread(target=speak)
        frames, began, clock = 0, time.thread_time(), time.perf_counter()
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        spent = time.thread_time() - began - idle * (time.perf_counter() - clock)
        shown = next(message for message in app.chat.messages if message.kind == "answer").text
        assert shown.count("heron") > 5, "the answer reached the screen"
    print(
        f"{RATE} tokens a second for {SECONDS} s: {frames} frames, {1000 * spent / frames:.1f} ms of CPU a frame (under 10), idle {1000 * idle:.0f} ms/s"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bittern-frames-", ignore_cleanup_errors=True) as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
