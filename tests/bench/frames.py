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
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from engine.events import Event
    from tui.app import BitternApp

prepare_environment()
RATE, SECONDS, STRETCHES = 100, 3, 5
TEXT = (
    "The **grey heron** stands very still at the water's edge and listens to the reeds and to what moves below them. It waits for a "
    "long time, and then strikes at once; the fish is swallowed whole, the head before the tail, and the bird is `still` again. "
    "When the pond is frozen it goes to the river, where the current keeps the water open, and hunts there until the thaw.\n\n"
)
"""A paragraph of about sixty words."""


class Watch:
    """Counts the frames of an app, and has each picture turned into what a terminal would be sent; a test's has none."""

    def __init__(self, app: BitternApp) -> None:
        self.frames = 0
        self.idle = 0.0
        self._words = itertools.cycle(re.findall(r" ?\w{1,7}|\W", TEXT))
        self._app, self._drain, self._display = app, app.bridge.drain, app._display
        app.bridge.drain = self._counted  # type: ignore[method-assign]
        app._display = self._displayed  # type: ignore[method-assign]

    def _counted(self) -> list[Event]:
        found = self._drain()
        self.frames += bool(found)
        return found

    def _displayed(self, screen: Any, update: Any) -> None:
        if update is not None and hasattr(update, "render_segments"):
            update.render_segments(self._app.console)
        self._display(screen, update)

    async def rest(self, seconds: float = 2.0) -> None:
        """What the screen costs while nothing happens, in seconds of CPU a second."""
        began = time.thread_time()
        await asyncio.sleep(seconds)
        self.idle = (time.thread_time() - began) / seconds

    def _speak(self, seconds: float) -> None:
        from engine.events import TokenDelta

        start = time.perf_counter()
        for number in range(int(RATE * seconds)):
            time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            self._app.bridge._heard(TokenDelta(job="1", text=next(self._words)))

    async def stretch(self, seconds: float) -> tuple[int, float]:
        """Frames, and milliseconds of CPU for each."""
        self.frames, began, clock = 0, time.thread_time(), time.perf_counter()
        thread = threading.Thread(target=self._speak, args=(seconds,))
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        spent = time.thread_time() - began - self.idle * (time.perf_counter() - clock)
        return self.frames, 1000 * spent / self.frames


async def measure(home: Path, earlier: int) -> None:
    """Stream one answer below ``earlier`` questions and as many answers."""
    from tui.app import BitternApp

    app = BitternApp(home, warm=False, starter=False)
    async with app.run_test(size=(160, 45)) as pilot:
        while app.bridge.engine is None:
            await asyncio.sleep(0.05)
        await pilot.pause()
        for _ in range(earlier):
            app.chat.add("user", "What does it do?")
            app.chat.add("answer", TEXT * 2, verb="chat")
        await app.draw_chat(app.chat.messages)
        app.chat.add("answer", "", verb="chat", ticket="1", busy=True)
        await asyncio.sleep(1)
        watch = Watch(app)
        await watch.rest()
        await watch.stretch(1)
        found = [await watch.stretch(SECONDS) for _ in range(STRETCHES)]
        drawn = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "frozen" in drawn, "the answer reached the screen"
    report(found, watch.idle, earlier)


def report(found: list[tuple[int, float]], idle: float, earlier: int) -> None:
    costs = [cost for _, cost in found]
    rate = statistics.median(count for count, _ in found) / SECONDS
    below = f", {earlier} answers above" if earlier else ""
    print(
        f"{RATE} tokens a second{below}: {rate:.1f} frames a second, {statistics.median(costs):.1f} ms of CPU a frame (median of {STRETCHES} "
        f"stretches of {SECONDS} s, best {min(costs):.1f}; under 10), idle {1000 * idle:.0f} ms/s"
    )


def main() -> None:
    for earlier in (0, 30):
        with tempfile.TemporaryDirectory(prefix="bittern-frames-", ignore_cleanup_errors=True) as folder:
            asyncio.run(measure(Path(folder), earlier))


if __name__ == "__main__":
    main()
