"""Draws the pictures of the guide on the real screen, with real data and real models: ``python -m tests.pictures [data|models|training]``.

They go to ``docs/pictures``. Needs the starter models (``tests.bench.home`` fetches them) and the public data.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
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
        # An answer that is given again takes the place of another.
        await until(lambda: self.app.chat.busy is None and (text.startswith("/regenerate") or self.app.chat.messages[before:]))
        await until(lambda: self.app.chat.busy is None and self.app.chat.messages[-1].kind != "user")
        if job:
            await self.done()
        await self.settle()

    async def done(self) -> None:
        """Wait until no job runs or waits."""
        await until(lambda: not self.app.engine.queue.busy() and not any(j.state == "queued" for j in self.app.engine.jobs()), 1200)

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


async def walk_with_models(home: Path) -> None:
    from tests.engine.test_hub_find import FILES, LISTED
    from tests.fakes.hub import Hub

    # The Hub's client reads its surroundings when it is imported: this Hub is on loopback, and is told so in the guide.
    os.environ |= {"HF_ENDPOINT": Hub(FILES, listed=LISTED).address, "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(home / "hub")}
    from tui.app import BitternApp
    from tui.screens.find import FindScreen
    from tui.screens.versus import VersusScreen

    app = BitternApp(home, warm=True, starter=False)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: app.bridge.engine is not None and app.furnished)
        camera = Camera(app, pilot)
        await app.open_address("find:models")
        await until(lambda: isinstance(app.screen, FindScreen))
        await camera.settle(3)
        await until(lambda: "model.safetensors" in str(app.screen.query_one("#find-facts").content))
        camera.take("8-find")
        await camera.keys("escape", "escape")
        await camera.line("/fit smollm2 --train")
        camera.take("9-fit")
        await camera.line("/chat --seed 4 Name three birds that live at the water.")
        await camera.line("/regenerate --seed 9")
        await camera.settle(8)
        await camera.line("/chat --seed 1 Which of them stands still?")
        camera.take("10-chat")
        await camera.line("/versus smollm2+temperature=0,smollm2+temperature=1.1 What is a heron?")
        await until(lambda: isinstance(app.screen, VersusScreen) and app.screen.view.waits)
        await camera.settle(2)
        camera.take("11-compare")
        await camera.keys("1", wait=2)
        await camera.keys("escape")
        await camera.line("/serve smollm2")
        await until(lambda: list((home / "jobs").glob("*/serve.json")))
        await camera.line("/servers 1")
        camera.take("12-serve")
        app.engine.run(app.engine.parse("cancel " + app.engine.jobs()[-1].id))
        await camera.settle(3)
    app.engine.close(10)


async def walk_a_training(home: Path) -> None:
    from tui.app import BitternApp
    from tui.screens.mask import MaskScreen
    from tui.screens.runs import RunsScreen

    app = BitternApp(home, warm=True, starter=False)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: app.bridge.engine is not None and app.furnished)
        camera = Camera(app, pilot)
        await camera.line(f"/add {DATA / 'sft-gsm8k' / 'test.messages.jsonl'} --name sums", job=True)
        await camera.line(f"/add {DATA / 'cls-banking77'} --name bank", job=True)
        await camera.line("/sample bank 260 --as questions", job=True)
        await app.open_train_form("smollm2", "sums")
        await camera.settle(3)
        camera.take("13-form")
        await camera.keys("f7")
        await until(lambda: isinstance(app.screen, MaskScreen) and app.screen.found)
        await camera.settle()
        await until(lambda: "at most" in str(app.screen_stack[-2].query_one("#memory").content))
        camera.take("14-mask")
        await camera.keys("escape")
        await camera.settle(2)
        camera.take("13-form")  # by now the tokenizer is out of the GGUF, and the lengths are told
        await camera.keys("escape")
        await _learn(camera)
        await camera.line("/compare gentle brisk")
        await until(lambda: isinstance(app.screen, RunsScreen) and app.screen.view.compared)
        await camera.keys("2", "down", wait=2)
        camera.take("18-compare")
        await camera.keys("escape")
        await camera.line(f"/report brisk --to {home / 'report.html'}")
        _print(home / "report.html", PICTURES / "19-report.png")
    app.engine.close(10)


async def _learn(camera: Camera) -> None:
    """Three trainings, the first while it runs; all of them on one chart; a sweep; and what two of them are worth."""
    from tui.screens.curves import CurvesScreen
    from tui.screens.trials import TrialsScreen

    app = camera.app
    for name, rate in (("gentle", "1e-4"), ("brisk", "5e-4"), ("rash", "3e-3")):
        line = f"/train minilm --on questions --learning-rate {rate} --epochs 4 --eval-steps 4 --name {name}"
        if name == "gentle":
            await camera.line(line)
            job = app.engine.jobs()[0].id
            await camera.keys("f4", "enter")
            await until(lambda: len(getattr(app.jobs.jobs[job].curves.get("loss"), "points", ())) >= 17, 900)  # noqa: B023
            await camera.settle(1)
            camera.take("15-live")
            await camera.keys("escape")
            await camera.done()
        else:
            await camera.line(line, job=True)
    last = int(app.engine.jobs()[0].id)
    await camera.line(f"/curves {last} {last - 1} {last - 2} --metric eval_loss")
    await until(lambda: isinstance(app.screen, CurvesScreen) and app.screen.view.places)
    await camera.keys("left", "left", "left")
    camera.take("16-curves")
    await camera.keys("escape")
    swept = "learning_rate=5e-5..2e-3 batch_size=16,32 weight_decay=0,0.1"
    await camera.line(f'/sweep minilm --on questions --preset quick --over "{swept}" --trials 6', job=True)
    await camera.line(f"/trials {app.engine.jobs()[0].id}")
    await until(lambda: isinstance(app.screen, TrialsScreen) and app.screen.view.data)
    await camera.settle(2)
    camera.take("17-trials")
    await camera.keys("escape")
    for name in ("gentle", "brisk"):
        await camera.line(f"/evaluate {name} --on questions --rows 0", job=True)


def _print(page: Path, picture: Path) -> None:
    """The head of an HTML page as a picture, where the libraries for it are here (no dependency of ours)."""
    try:
        import pymupdf  # type: ignore[import-not-found]
        import weasyprint  # type: ignore[import-not-found]
    except ImportError:
        print(f"{picture} was not drawn: pip install weasyprint pymupdf")
        return
    sized = weasyprint.CSS(string="@page { size: 1100px 1300px; margin: 0 }")
    pages = pymupdf.open("pdf", weasyprint.HTML(page).write_pdf(stylesheets=[sized]))
    pages[0].get_pixmap(dpi=96).save(picture)
    print(picture)


def main() -> None:
    from engine.store.workspace import Workspace
    from tests.bench.home import bench_home

    shared = bench_home("smollm2", "minilm")
    walks = {"data": walk, "models": walk_with_models, "training": walk_a_training}
    for name in sys.argv[1:] or walks:
        home = Path(tempfile.mkdtemp(prefix="bittern-pictures-"))
        try:
            ours = Workspace(home)
            for record in shared.models.all():
                ours.models.put(record)
            ours.remember("model", "smollm2")
            ours.close()
            asyncio.run(walks[name](home))
        finally:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
