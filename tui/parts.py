"""The parts of the main screen, by name.

The bar, the chat box and the footer make the first picture. The panels come right after it: loading and styling them
takes as long as everything before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.widgets import ContentSwitcher

from tui.widgets.chatbox import ChatBox, Completions
from tui.widgets.chips import Chips
from tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.bridge import Bridge
    from tui.panels.chat import ChatPanel
    from tui.panels.datasets import DatasetsPanel
    from tui.panels.jobs import JobDetail, JobsPanel
    from tui.panels.models import ModelDetail, ModelsPanel
    from tui.panels.rows import DatasetDetail


class Parts:
    """``furnished`` says whether the panels are there; before that only ``bar``, ``box`` and ``completions`` are."""

    datasets: DatasetsPanel
    models: ModelsPanel
    jobs: JobsPanel
    dataset: DatasetDetail
    model: ModelDetail
    job: JobDetail
    chat: ChatPanel

    def __init__(self, main: Screen[Any]) -> None:
        self._main = main
        self.bar = main.query_one(TopBar)
        self.box = main.query_one(ChatBox)
        self.completions = main.query_one(Completions)
        self.chips = main.query_one(Chips)
        self.furnished = False

    async def furnish(self, bridge: Bridge) -> None:
        """Load the panels and put them in their places."""
        from tui.panels.chat import ChatPanel
        from tui.panels.datasets import DatasetsPanel
        from tui.panels.jobs import JobDetail, JobsPanel
        from tui.panels.models import ModelDetail, ModelsPanel
        from tui.panels.rows import DatasetDetail

        self.datasets, self.models, self.jobs = DatasetsPanel(), ModelsPanel(), JobsPanel()
        self.dataset, self.model, self.job = DatasetDetail(bridge), ModelDetail(), JobDetail()
        self.chat = ChatPanel()
        await self._main.query_one("#body").mount(
            Vertical(self.datasets, self.models, self.jobs, id="side"),
            ContentSwitcher(self.dataset, self.model, self.job, id="detail", initial=None),
            self.chat,
        )
        self.furnished = True

    @property
    def switcher(self) -> ContentSwitcher:
        """What shows one detail at a time."""
        return self._main.query_one("#detail", ContentSwitcher)
