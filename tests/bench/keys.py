"""What a step from panel to panel costs the screen's loop, with our line of keys and with Textual's Footer in its place.

CPU time of the loop's thread, in turns, on the real screen without an engine behind it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from textual.widgets import Footer

from tests.tui.screens import StillApp
from tui.widgets.keyline import KeyLine

ROUNDS, STEPS = 5, 24
KEYS = ("f2", "f3", "f4", "f5")


async def walk(peer: bool) -> float:
    """Milliseconds of CPU a step."""
    app: Any = StillApp()
    async with app.run_test(size=(160, 45)) as pilot:
        await app.settle(pilot)
        app.stock()
        if peer:
            await app.main.query_one(KeyLine).remove()
            await app.main.mount(Footer(show_command_palette=False, compact=True))
        for key in KEYS:
            await pilot.press(key)
        began = time.thread_time()
        for number in range(STEPS):
            await pilot.press(KEYS[number % len(KEYS)])
            await pilot.pause()
        return 1000 * (time.thread_time() - began) / STEPS


async def main() -> None:
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for peer, taken in found.items():
            taken.append(await walk(peer))
    ours, theirs = (statistics.median(found[peer]) for peer in (False, True))
    ratio = statistics.median(mine / other for mine, other in zip(found[False], found[True], strict=True))
    print(
        f"a step between panels: {ours:.1f} ms with the line of keys, {theirs:.1f} ms with Textual's Footer ({ratio:.2f} of it; median of {ROUNDS})"
    )


if __name__ == "__main__":
    asyncio.run(main())
