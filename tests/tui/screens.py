"""The real app without an engine behind it: its state is fed with events, as the engine feeds it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from engine.store.datasets import DatasetRecord
from engine.store.models import ModelRecord
from tui.app import BitternApp
from tui.panels.datasets import DatasetsPanel
from tui.panels.models import ModelsPanel
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.pilot import Pilot

    from engine.events import Event


class StillApp(BitternApp):
    """Opens no workspace, so that every picture is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.bridge.open = self._open_nothing  # type: ignore[method-assign]

    def _open_nothing(self) -> None:
        threading.Thread(target=self.bridge._serve, daemon=True).start()

    async def feed(self, pilot: Pilot[Any], happened: Iterable[Event]) -> None:
        """Let events come as from the engine's threads, and wait until they are drawn."""
        for event in happened:
            self.bridge._heard(event)
        await self.settle(pilot)

    async def settle(self, pilot: Pilot[Any]) -> None:
        while not self.furnished:
            await asyncio.sleep(0.02)
        self.main.query_one(ChatBox).cursor_blink = False
        await pilot.pause(0.2)
        await self.workers.wait_for_complete()
        await pilot.pause(0.1)

    def stock(self) -> None:
        """A small catalog."""
        text, roles = {"text": "string"}, {"text": "text", "label": "label"}
        guide = DatasetRecord("guide", "Bittern's own guide", "g", "1", {"train": 51}, text, "text", {"text": "text"}, 16_000)
        splits = {"train": 900, "test": 100}
        tickets = DatasetRecord("tickets", "tickets.csv", "t", "2", splits, {**text, "label": "string"}, "classification", roles, 140_000)
        smollm2 = ModelRecord("smollm2", "chat", "starter", 98_400_000)
        minilm = ModelRecord("minilm", "encoder", "starter", 91_600_000)
        self.catalog.load([guide, tickets], [smollm2, minilm], "guide", "smollm2", "main")
        self.catalog.guide = True
        self.main.query_one(DatasetsPanel).draw(self.catalog)
        self.main.query_one(ModelsPanel).draw(self.catalog)
        self.draw_mode()
        self.draw_welcome()
