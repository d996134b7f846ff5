"""Draws the pictures of the guide on the real screen, with real data and the real encoder: ``python -m tests.pictures``.

They go to ``docs/pictures``. Needs the starter models (``tests.bench.home`` fetches them) and the public data.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from tui.app import BitternApp

prepare_environment()
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
PICTURES = ROOT / "docs" / "pictures"
SIZE = (132, 36)


async def until(what: Callable[[], object], seconds: float = 90) -> None:
    for _ in range(int(seconds / 0.1)):
        if what():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come")


class Camera:
    """Types lines and keys, waits, and takes pictures."""

    def __init__(self, app: BitternApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    async def line(self, text: str, *, job: bool = False) -> None:
        """Send a line from the chat box and wait for its answer, or for its job."""
        from tui.widgets.chatbox import ChatBox

        before = len(self.app.chat.messages)
        box = self.app.main.query_one(ChatBox)
        box.focus()
        box.put(text)
        await self.pilot.press("enter")
        await until(lambda: any(m.kind != "user" and not m.busy for m in self.app.chat.messages[before:]))
        if job:
            await until(lambda: not self.app.engine.queue.busy() and not any(j.state == "queued" for j in self.app.engine.jobs()), 240)
        await self.settle()

    async def keys(self, *keys: str, wait: float = 1.0) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.settle(wait)

    async def settle(self, wait: float = 1.0) -> None:
        await asyncio.sleep(wait)
        await self.pilot.pause(0.3)

    def take(self, name: str) -> None:
        for toast in self.app.screen.query("Toast"):
            toast.display = False
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.app.save_screenshot(f"{name}.svg", str(PICTURES))
        print(PICTURES / f"{name}.svg")


async def walk(home: Path) -> None:
    from tui.app import BitternApp

    broken = home / "orders.csv"
    broken.write_text("text;label\nWhere is my order?;order\nIt came broken; really broken;return\nI want my money back;refund\n", "utf-8")
    app = BitternApp(home, warm=True, starter=False)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: app.bridge.engine is not None and app.furnished)
        camera = Camera(app, pilot)
        await camera.line(f"/add {broken}", job=True)
        await camera.settle(2)
        camera.take("1-bring")
        await camera.line(f"/add {DATA / 'cls-banking77'} --name banking", job=True)
        await camera.keys("f2", wait=0.5)
        app.parts.datasets.choose("banking")
        await camera.keys("enter", wait=3)
        await camera.keys("f", *"label = 'card_arrival'", "enter", wait=3)
        camera.take("2-look")
        await camera.line("/stats banking", job=True)
        await camera.settle(4)
        camera.take("3-statistics")
        await camera.keys("escape")
        await camera.line("/index banking", job=True)
        await camera.keys("escape")
        await camera.line("/search my card has not come yet")
        camera.take("4-search")
        await camera.line(f"/add {DATA / 'ir-xquad-en' / 'corpus.jsonl'} --name articles", job=True)
        await camera.line("/index articles", job=True)
        await camera.line("/ask How many points did the Panthers defense surrender?")
        camera.take("5-ask")
        await camera.line("/use banking")
        await camera.line("/check banking", job=True)
        await camera.settle(6)
        camera.take("6-clean")
        await camera.keys("escape")
        await camera.line("/atlas banking", job=True)
        await camera.settle(6)
        camera.take("7-map")
    app.engine.close(10)


def main() -> None:
    from engine.store.workspace import Workspace
    from tests.bench.home import bench_home

    shared = bench_home("smollm2", "minilm")
    home = Path(tempfile.mkdtemp(prefix="bittern-pictures-"))
    try:
        ours = Workspace(home)
        for record in shared.models.all():
            ours.models.put(record)
        ours.remember("model", "smollm2")
        ours.close()
        asyncio.run(walk(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
